// Lines that a worker wrote in one turn, on their way to the thread that owns the files.
import Bytes
import Configuration
import Reactor

/// What the log thread is told.
enum LogMessage: Sendable {
    /// Whole lines, each with its line feed.
    case lines(LogTarget, [UInt8])
    /// The files were moved away: open them anew.
    case reopen
    /// Write what waits, then say so.
    case finish(Mailbox<Bool>)
}

struct LogBatch: ~Copyable {
    /// Messages that may wait for a slow disk; more are dropped and counted rather than kept in memory.
    private static let waitingLimit = 4096

    /// The line that is being written.
    var line = ByteBuffer(capacity: 2048)
    private var waiting: [(LogTarget, [UInt8])] = []
    private var lost: UInt64 = 0

    mutating func begin() { line.clear() }
    mutating func end(_ target: LogTarget) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(line.count)
        for i in 0..<line.count { bytes.append(line.bytes[i]) }
        add(bytes, to: target)
    }
    mutating func add(_ bytes: [UInt8], to target: LogTarget) {
        if let last = waiting.indices.last, waiting[last].0 == target {
            waiting[last].1 += bytes
        } else {
            waiting.append((target, bytes))
        }
    }
    /// How many messages were dropped since the last question.
    mutating func takeLost() -> UInt64 {
        defer { lost = 0 }
        return lost
    }
    /// Hands over what was written; nothing to do in a turn without lines.
    mutating func post(to logs: Mailbox<LogMessage>) {
        if waiting.isEmpty { return }
        for (target, bytes) in waiting where !logs.post(.lines(target, bytes), limit: Self.waitingLimit) { lost += 1 }
        waiting.removeAll(keepingCapacity: true)
    }
}
