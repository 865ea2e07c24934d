// The thread that owns the log files: a slow disk delays lines, never a request or a revocation.
import Bytes
import Configuration
import Glibc
import Reactor

struct LogFiles: ~Copyable {
    private let inbox: Mailbox<LogMessage>
    private var files: [(path: String, file: LogFile)] = []

    static func start(_ inbox: Mailbox<LogMessage>) {
        Thread.start(name: "logs") {
            var files = LogFiles(inbox)
            files.run()
        }
    }
    private init(_ inbox: Mailbox<LogMessage>) { self.inbox = inbox }

    private mutating func run() {
        while true {
            inbox.sleep(milliseconds: -1)
            for message in inbox.takeAll() {
                switch message {
                case .lines(let target, let bytes): write(bytes, to: target)
                case .reopen: files = []
                case .finish(let done):
                    done.post(true)
                    return
                }
            }
        }
    }
    private mutating func write(_ bytes: [UInt8], to target: LogTarget) {
        switch target {
        case .standardError: LogFile.write(bytes, to: 2)
        case .standardOutput: LogFile.write(bytes, to: 1)
        case .file(let path): file(path)?.write(bytes)
        }
    }
    private mutating func file(_ path: String) -> LogFile? {
        if let known = files.first(where: { $0.path == path }) { return known.file }
        guard let file = LogFile(path) else {
            LogFile.write(Array("gateway: \(path) cannot be opened for writing\n".utf8), to: 2)
            return nil
        }
        files.append((path, file))
        return file
    }
}
