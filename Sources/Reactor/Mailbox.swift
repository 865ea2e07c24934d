// The only road between threads: values in, one wake-up, values out. Shared, and the mutex is why it may be.
import CLinux
import Glibc
import Synchronization

package final class Mailbox<Message: Sendable>: Sendable {
    private let waiting = Mutex<[Message]>([])
    /// Readable while something waits; register it with the loop of the thread that takes.
    package let descriptor: Int32

    package init() { descriptor = Int32(cl_eventfd()) }
    deinit { close(descriptor) }

    /// Puts a message in; false when `limit` already wait (the message is dropped).
    @discardableResult
    package func post(_ message: Message, limit: Int = .max) -> Bool {
        let before = waiting.withLock { (queue: inout [Message]) -> Int in
            let n = queue.count
            if n < limit { queue.append(message) }
            return n
        }
        if before == 0 { cl_eventfd_signal(descriptor) }
        return before < limit
    }
    /// Puts several in that are taken together.
    package func post(_ messages: [Message]) {
        let before = waiting.withLock { (queue: inout [Message]) -> Int in
            defer { queue += messages }
            return queue.count
        }
        if before == 0 { cl_eventfd_signal(descriptor) }
    }
    /// Everything that waits, oldest first.
    package func takeAll() -> [Message] {
        cl_eventfd_clear(descriptor)
        return waiting.withLock { (queue: inout [Message]) -> [Message] in
            let all = queue
            queue = []
            return all
        }
    }
    /// Sleeps until something waits or the time is up (-1: for ever); for threads without a loop.
    package func sleep(milliseconds: Int32) { _ = cl_poll(descriptor, Int16(POLLIN), milliseconds) }
}
