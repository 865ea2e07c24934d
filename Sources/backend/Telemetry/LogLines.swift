// Log lines on standard error, in the form that swift-log's own handler gives them. That one asks for the time zone at each line,
// and puts the metadata of every request into words even when there is nothing to say about it.
import Foundation
import Logging
import Synchronization

struct LogLines: LogHandler {
    /// The text of the second that it is; most lines find it made.
    private static let second = Mutex((time: time_t(-1), text: ""))

    let label: String
    var logLevel: Logger.Level = .info
    var metadata: Logger.Metadata = [:]

    init(label: String) {
        self.label = label
    }

    subscript(metadataKey name: String) -> Logger.MetadataValue? {
        get { metadata[name] }
        set { metadata[name] = newValue }
    }

    func log(event: LogEvent) {
        var members = metadata
        if let own = event.metadata { members.merge(own) { _, own in own } }
        if let error = event.error { members["error"] = "\(error)" }
        var line = "\(Self.now) \(event.level) \(label):"
        line.reserveCapacity(256)
        for (name, value) in members.sorted(by: { $0.key < $1.key }) {
            line += " "
            line += name
            line += "="
            if case .string(let text) = value { line += text } else { line += "\(value)" }
        }
        line += " [\(event.source)] \(event.message)\n"
        Self.write(line)
    }

    private static var now: String {
        let now = time(nil)
        return second.withLock { second in
            if second.time != now { second = (now, text(of: now)) }
            return second.text
        }
    }

    /// Local time with its distance from UTC.
    private static func text(of time: time_t) -> String {
        var time = time
        var parts = unsafe tm()
        var text = [CChar](repeating: 0, count: 64)
        // Unsafe: the three are ours, and are used for the length of the calls only.
        unsafe localtime_r(&time, &parts)
        let length = unsafe strftime(&text, text.count, "%Y-%m-%dT%H:%M:%S%z", &parts)
        return String(decoding: text.prefix(length).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// In one call, so that the lines of several threads do not mix.
    private static func write(_ line: String) {
        var rest = Array(line.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Foundation.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            // There is nowhere to say that nothing can be said.
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}
