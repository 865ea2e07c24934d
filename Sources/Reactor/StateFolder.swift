// A folder in which small files outlive the process: replaced whole or not at all, readable by nobody else, believed only
// when nobody else can have written them. Unsafe: paths and bytes are used within one call.
import CLinux
import Glibc

/// What the system said when something could not be kept.
package struct StateError: Error, Equatable {
    package let number: Int32
    package var isAbsence: Bool { number == ENOENT }
    package var text: String {
        if number == EPERM { return "it belongs to somebody else, or others may write it" }
        return unsafe String(cString: strerror(number))
    }
}

package struct StateFolder: Sendable, Equatable {
    package let path: String

    /// Makes the folder when it is not there, and closes it to others.
    package init(_ path: String) throws(StateError) {
        try Self.check(unsafe cl_state_folder(path))
        self.path = path
    }

    /// The folder of another process, to read in.
    package init(reading path: String) { self.path = path }

    /// Replaces a file: after a crash the old or the new one is there. Sleeps until the disk has it.
    package func replace(_ name: String, with bytes: [UInt8]) throws(StateError) {
        let temporary = ".\(name).new"
        try Self.check(
            unsafe bytes.withUnsafeBytes { unsafe cl_replace_file(path, name, temporary, $0.baseAddress, $0.count) })
    }

    /// All of a file.
    package func read(_ name: String, maximumBytes: Int) throws(StateError) -> [UInt8] {
        let file = Socket(owning: Int32(try Self.check(unsafe cl_open_own_file(path, name))))
        var bytes = [UInt8](repeating: 0, count: maximumBytes + 1)
        var count = 0
        while count < bytes.count {
            let n = unsafe bytes.withUnsafeMutableBytes { buffer in
                unsafe cl_read(file.descriptor, buffer.baseAddress! + count, buffer.count - count)
            }
            if n == -Int(EINTR) { continue }
            if try Self.check(n) == 0 { return Array(bytes[..<count]) }
            count += n
        }
        throw StateError(number: EFBIG)
    }

    package func remove(_ name: String) { _ = unsafe cl_remove_file(path, name) }

    @discardableResult
    private static func check(_ result: Int) throws(StateError) -> Int {
        guard result >= 0 else { throw StateError(number: Int32(-result)) }
        return result
    }
}
