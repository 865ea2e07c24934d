// Names of hosts to addresses when the configuration is read, as nginx does. Unsafe: the list that getaddrinfo()
// allocates
// is walked and freed by freeaddrinfo() inside one function; no pointer leaves it.
package import Bytes
internal import Glibc

package enum HostResolution {
    /// Distinct addresses of a literal or a name, in the order the system prefers; empty when there are none.
    package static func addresses(of host: String) -> [IPAddress] {
        if let literal = IPAddress(host) { return [literal] }
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = AI_ADDRCONFIG
        var first: UnsafeMutablePointer<addrinfo>?
        guard unsafe getaddrinfo(host, nil, &hints, &first) == 0 else { return [] }
        defer { unsafe freeaddrinfo(first) }
        var found: [IPAddress] = []
        var next = unsafe first
        while let entry = unsafe next {
            if let address = unsafe address(entry.pointee.ai_addr), !found.contains(address) { found.append(address) }
            unsafe next = unsafe entry.pointee.ai_next
        }
        return found
    }

    private static func address(_ pointer: UnsafeMutablePointer<sockaddr>?) -> IPAddress? {
        guard let pointer = unsafe pointer else { return nil }
        switch CInt(unsafe pointer.pointee.sa_family) {
        case AF_INET:
            let v4 = unsafe UnsafeRawPointer(pointer).loadUnaligned(as: sockaddr_in.self)
            return IPAddress(v4: UInt32(bigEndian: v4.sin_addr.s_addr))
        case AF_INET6:
            var v6 = unsafe UnsafeRawPointer(pointer).loadUnaligned(as: sockaddr_in6.self)
            let words = unsafe withUnsafeBytes(of: &v6.sin6_addr) { bytes in
                unsafe (bytes.loadUnaligned(as: UInt64.self), bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            }
            return IPAddress(v6: UInt64(bigEndian: words.0), UInt64(bigEndian: words.1))
        default:
            return nil
        }
    }
}
