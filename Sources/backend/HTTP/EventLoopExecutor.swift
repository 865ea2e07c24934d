// Runs the tasks of requests on the threads that read and write their connections: otherwise each request would change threads on
// its way in and on its way out, which costs more than what most of them do in between.
import NIOCore
import NIOPosix

/// For tasks that never block: passwords are hashed, files written and the database is asked on threads of their own.
final class EventLoopExecutor: TaskExecutor {
    static let shared = EventLoopExecutor()

    private let loops = MultiThreadedEventLoopGroup.singleton

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        // The loop that this is called on, if it is one of them.
        loops.any().execute { [self] in unsafe job.runSynchronously(on: asUnownedTaskExecutor()) }
    }
}
