// What variables can say about this process. Unsafe: gethostname() fills an array of ours, within one call.
import Glibc

enum ProcessIdentity {
    /// The host's name, as `gethostname` gives it.
    static var hostname: String {
        var name = [CChar](repeating: 0, count: 256)
        guard unsafe gethostname(&name, name.count - 1) == 0 else { return "localhost" }
        return unsafe name.withUnsafeBufferPointer { unsafe String(cString: $0.baseAddress!) }
    }
    static var number: String { "\(getpid())" }
}
