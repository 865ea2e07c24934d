// The signals that steer a running gateway, as events. Make it before any thread starts: threads inherit the mask.
import CLinux
import Glibc

package enum Signal {
    case terminate, quit, reload, reopenLogs
}

package struct Signals: ~Copyable {
    private let socket: Socket
    package var descriptor: Int32 { socket.descriptor }

    package init() { socket = Socket(owning: Int32(cl_signalfd())) }

    /// The next one that came in, nil when none waits.
    package borrowing func next() -> Signal? {
        switch cl_next_signal(socket.descriptor) {
        case SIGTERM, SIGINT: .terminate
        case SIGQUIT: .quit
        case SIGHUP: .reload
        case SIGUSR1: .reopenLogs
        default: nil
        }
    }
}
