// A file that is appended to and read back after a restart, readable by nobody else. Owns its descriptor; pointers are used
// within one call.
package import Bytes
import CLinux
import Glibc

/// errno of the call that failed.
package struct FileFailure: Error {
    package let number: Int32
    package var isAbsence: Bool { number == ENOENT }
    package var text: String {
        if number == EPERM { return "it is no file, belongs to somebody else, or others may write it" }
        return unsafe String(cString: strerror(number))
    }
}

package struct JournalFile: ~Copyable {
    private let descriptor: Int32

    /// Opens it, or makes it; it is no link to somewhere else.
    package init(_ path: String) throws(FileFailure) { try self.init(path, O_RDWR | O_APPEND | O_CREAT) }
    /// Only to look at what another process keeps there.
    package init(reading path: String) throws(FileFailure) { try self.init(path, O_RDONLY) }

    private init(_ path: String, _ access: Int32) throws(FileFailure) {
        let opened = unsafe open(path, access | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0o600)
        guard opened >= 0 else { throw FileFailure(number: errno) }
        var status = stat()
        // What is read here is believed: nobody else can have written it.
        guard unsafe fstat(opened, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid(),
            status.st_mode & 0o022 == 0
        else {
            close(opened)
            throw FileFailure(number: EPERM)
        }
        descriptor = opened
    }
    deinit { close(descriptor) }

    /// Appends the next bytes of the file; false at its end.
    package borrowing func read(into buffer: inout ByteBuffer) throws(FileFailure) -> Bool {
        buffer.reserve(1 << 20)
        let fd = descriptor
        while true {
            var free = buffer.free
            let n = unsafe free.withUnsafeMutableBufferPointer { unsafe cl_read(fd, $0.baseAddress, $0.count) }
            if n == -Int(EINTR) { continue }
            guard n >= 0 else { throw FileFailure(number: Int32(-n)) }
            buffer.commit(n)
            return n > 0
        }
    }
    package borrowing func append(_ bytes: borrowing Span<UInt8>) throws(FileFailure) {
        var sent = 0
        let fd = descriptor
        while sent < bytes.count {
            let n = unsafe bytes.withUnsafeBufferPointer {
                unsafe cl_write(fd, $0.baseAddress! + sent, $0.count - sent)
            }
            if n == -Int(EINTR) { continue }
            guard n > 0 else { throw FileFailure(number: n < 0 ? Int32(-n) : EIO) }
            sent += n
        }
    }
    /// Sleeps until the disk has what was appended.
    package borrowing func sync() throws(FileFailure) {
        guard fdatasync(descriptor) == 0 else { throw FileFailure(number: errno) }
    }

    /// Puts a file of these bytes in place of the one at the path: after a crash the old or the new one is there, whole.
    package static func replace(_ path: String, with bytes: borrowing Span<UInt8>) throws(FileFailure) {
        let temporary = path + ".new"
        _ = unsafe unlink(temporary)
        let file = try JournalFile(temporary)
        try file.append(bytes)
        try file.sync()
        guard unsafe rename(temporary, path) == 0 else { throw FileFailure(number: errno) }
        let folder = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        let directory = unsafe open(folder.isEmpty ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw FileFailure(number: errno) }
        defer { close(directory) }
        guard fsync(directory) == 0 else { throw FileFailure(number: errno) }
    }
}
