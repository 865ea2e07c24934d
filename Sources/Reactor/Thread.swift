// Threads and process-wide settings of the kernel. A thread's body is boxed until the thread has taken it over, which then
// owns and frees it.
import CLinux
import Glibc

private final class Body {
    let run: () -> Void
    init(_ run: @escaping () -> Void) { self.run = run }
}

package enum Thread {
    /// Runs `body` on a thread of its own, which nobody waits for; it works on what it is sent and owns what it makes.
    package static func start(name: String, _ body: sending @escaping () -> Void) {
        let box = unsafe Unmanaged.passRetained(Body(body))
        var thread = pthread_t()
        let status = unsafe pthread_create(
            &thread, nil,
            { pointer in
                guard let pointer = unsafe pointer else { return nil }
                unsafe Unmanaged<Body>.fromOpaque(pointer).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
        guard status == 0 else {
            unsafe box.release()
            return
        }
        unsafe cl_name_thread(thread, name)
        pthread_detach(thread)
    }
}

package enum Host {
    /// Cores that are online.
    package static var cores: Int { Int(cl_cores()) }
    /// Gives back the memory of code that only the start needed: reading options and a configuration touches most of it.
    package static func trimCode() { cl_trim_code() }
    /// Gives back what the allocator keeps of memory that is free; after something large that happens once.
    package static func trimHeap() { cl_trim_heap() }
    /// Gives the calling thread a table of descriptors of its own, a copy of what is open now.
    package static func ownDescriptors() { _ = cl_own_descriptors() }
    /// Raises the limit of open descriptors as far as allowed, and says how far that is.
    package static func raiseDescriptorLimit() -> Int { Int(clamping: cl_raise_descriptor_limit()) }
    /// OpenSSL writes to sockets by itself: a vanished peer must be an error, not a signal.
    package static func ignoreBrokenPipes() { cl_ignore_sigpipe() }
}
