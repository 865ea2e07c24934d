// A file that lines are appended to. Owns its descriptor; the pointer of a line is used within one call.
import CLinux
import Glibc

/// Closed when the last reference goes.
package final class LogFile {
    private let descriptor: Int32

    /// Nil when it cannot be opened; made with mode 0640 when it is not there.
    package init?(_ path: String) {
        let descriptor = unsafe cl_open_append(path)
        guard descriptor >= 0 else { return nil }
        self.descriptor = Int32(descriptor)
    }
    deinit { close(descriptor) }

    package func write(_ bytes: [UInt8]) { Self.write(bytes, to: descriptor) }

    /// All of it, unless the file takes no more.
    package static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var sent = 0
        while sent < bytes.count {
            let n = unsafe bytes.withUnsafeBufferPointer { buffer in
                unsafe cl_write(descriptor, buffer.baseAddress! + sent, buffer.count - sent)
            }
            if n == -Int(EINTR) { continue }
            if n == -Int(EAGAIN) {
                _ = cl_poll(descriptor, Int16(POLLOUT), 1000)
                continue
            }
            guard n > 0 else { return }
            sent += n
        }
    }
}
