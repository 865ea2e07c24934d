// SHA-1, for handshakes that ask for it and keep no secret by it. A span's pointer is used within one call.
import COpenSSL

package enum SHA1 {
    /// 20 bytes.
    package static func hash(_ bytes: borrowing Span<UInt8>) -> [UInt8] {
        var value = [UInt8](repeating: 0, count: 20)
        unsafe value.withUnsafeMutableBufferPointer { out in
            unsafe bytes.withUnsafeBufferPointer { unsafe co_sha1($0.baseAddress, $0.count, out.baseAddress) }
        }
        return value
    }
}
