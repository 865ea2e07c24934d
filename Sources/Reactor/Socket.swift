// A descriptor with one owner, closed in deinit. Calls return counts or -errno: "would block" is not an error.
package import Bytes
import CLinux
import Glibc

package enum IOResult {
    case bytes(Int)
    case blocked
    /// The peer ended its side in order.
    case closed
    case failed
}

/// Why a socket could not be made: errno of the call.
package struct SocketError: Error, Equatable {
    package let number: Int32
    package init(number: Int32) { self.number = number }
    package var text: String { unsafe String(cString: strerror(number)) }
    package var isAddressInUse: Bool { number == EADDRINUSE }
    /// No descriptors left, in the process or the system.
    package var isExhaustion: Bool { number == EMFILE || number == ENFILE }
}

package enum AcceptResult: ~Copyable {
    case accepted(Socket, PeerAddress)
    case none
    /// No descriptors left.
    case exhausted
}

/// Where a connection comes from.
package enum PeerAddress: Sendable, Equatable, BitwiseCopyable {
    case socket(SocketAddress)
    case unix
}

package struct Socket: ~Copyable {
    package let descriptor: Int32
    package init(owning descriptor: Int32) { self.descriptor = descriptor }
    deinit { close(descriptor) }

    /// Gives the descriptor away; whoever takes it closes it.
    package consuming func detach() -> Int32 {
        let taken = descriptor
        discard self
        return taken
    }
    /// Another descriptor for the socket behind one that somebody else owns.
    package static func copy(of descriptor: Int32) -> Socket { Socket(owning: dup(descriptor)) }

    /// Listens. `isShared`: with SO_REUSEPORT, so that each worker has a queue of its own.
    package static func listen(_ address: SocketAddress, backlog: Int, isShared: Bool) throws(SocketError) -> Socket {
        var raw = rawAddress(address)
        return try made(unsafe cl_listen(&raw, Int32(backlog), isShared ? 1 : 0))
    }
    package static func listen(unix path: String, backlog: Int) throws(SocketError) -> Socket {
        unsafe unlink(path)
        return try made(unsafe cl_listen_unix(path, path.utf8.count, Int32(backlog)))
    }
    /// Fails when somebody else has the address, even somebody who would share it: only then is a second start noticed.
    package static func probe(_ address: SocketAddress) throws(SocketError) {
        _ = try listen(address, backlog: 0, isShared: false)
    }
    /// Begins to connect; writability tells the outcome.
    package static func connect(_ address: SocketAddress) throws(SocketError) -> Socket {
        var raw = rawAddress(address)
        return try made(unsafe cl_connect(&raw))
    }
    package static func connect(unix path: String) throws(SocketError) -> Socket {
        try made(unsafe cl_connect_unix(path, path.utf8.count))
    }
    /// The next connection and where it comes from.
    package borrowing func accept() -> AcceptResult {
        var raw = cl_address()
        let fd = unsafe cl_accept(descriptor, &raw)
        if fd < 0 {
            return fd == -Int(EMFILE) || fd == -Int(ENFILE) || fd == -Int(ENOBUFS) || fd == -Int(ENOMEM)
                ? .exhausted : .none
        }
        if raw.family != 1 { cl_nodelay(Int32(fd)) }
        return .accepted(Socket(owning: Int32(fd)), Socket.peerAddress(&raw))
    }
    /// The address this end is bound to.
    package var localAddress: SocketAddress? {
        var raw = cl_address()
        guard unsafe cl_local_address(descriptor, &raw) == 0, case .socket(let address) = Socket.peerAddress(&raw)
        else { return nil }
        return address
    }
    /// 0 once connected; errno of a failed attempt.
    package var connectError: Int32 { cl_socket_error(descriptor) }
    /// Sleeps until there is something to read, or room to write; false when the time is up. For threads without a loop.
    package func waitReadable(milliseconds: Int32) -> Bool { cl_poll(descriptor, Int16(POLLIN), milliseconds) > 0 }
    package func waitWritable(milliseconds: Int32) -> Bool { cl_poll(descriptor, Int16(POLLOUT), milliseconds) > 0 }
    /// The next close sends RST: what was cut short must not look whole.
    package func resetOnClose() { cl_reset_on_close(descriptor) }
    package func shutdownWrite() { cl_shutdown_write(descriptor) }

    package borrowing func receive(into span: inout MutableSpan<UInt8>) -> IOResult {
        let fd = descriptor
        return Self.result(unsafe span.withUnsafeMutableBufferPointer { unsafe cl_recv(fd, $0.baseAddress, $0.count) })
    }
    /// At most so many bytes, which stay to be received.
    package borrowing func peek(atMost limit: Int, into span: inout MutableSpan<UInt8>) -> IOResult {
        let fd = descriptor
        return Self.result(
            unsafe span.withUnsafeMutableBufferPointer { unsafe cl_peek(fd, $0.baseAddress, min($0.count, limit)) })
    }
    package borrowing func receive(atMost limit: Int, into span: inout MutableSpan<UInt8>) -> IOResult {
        let fd = descriptor
        return Self.result(
            unsafe span.withUnsafeMutableBufferPointer { unsafe cl_recv(fd, $0.baseAddress, min($0.count, limit)) })
    }
    package borrowing func send(_ span: Span<UInt8>) -> IOResult {
        let fd = descriptor
        return Self.result(unsafe span.withUnsafeBufferPointer { unsafe cl_send(fd, $0.baseAddress, $0.count) })
    }

    @inline(__always) private static func result(_ n: Int) -> IOResult {
        n > 0 ? .bytes(n) : n == -Int(EAGAIN) || n == -Int(EINTR) ? .blocked : n == 0 ? .closed : .failed
    }
    private static func made(_ fd: Int) throws(SocketError) -> Socket {
        guard fd >= 0 else { throw SocketError(number: Int32(-fd)) }
        return Socket(owning: Int32(fd))
    }
    private static func rawAddress(_ address: SocketAddress) -> cl_address {
        var raw = cl_address()
        raw.family = address.address.family == .v6 ? 6 : 4
        raw.port = address.port
        unsafe withUnsafeMutableBytes(of: &raw.bytes) { bytes in
            for i in 0..<address.address.octetCount { unsafe bytes[i] = address.address.octet(i) }
        }
        return raw
    }
    private static func peerAddress(_ raw: inout cl_address) -> PeerAddress {
        guard raw.family != 1 else { return .unix }
        let isV6 = raw.family == 6
        var high: UInt64 = 0
        var low: UInt64 = 0
        unsafe withUnsafeBytes(of: &raw.bytes) { bytes in
            for i in 0..<8 { high = unsafe high << 8 | UInt64(bytes[i]) }
            for i in 8..<16 { low = unsafe low << 8 | UInt64(bytes[i]) }
        }
        let address = isV6 ? IPAddress(v6: high, low) : IPAddress(v4: UInt32(truncatingIfNeeded: high >> 32))
        return .socket(SocketAddress(address: address, port: raw.port))
    }
}
