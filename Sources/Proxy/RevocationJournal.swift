// What was revoked, on disk: lines that are appended, each with a checksum, written by a thread of their own, so that a slow
// disk delays no revocation. A line that was cut short by a crash is noticed and left out.
import Bytes
import JOSE
import Policy
import Reactor

/// How far the feed of one block was read.
struct JournalCursor: Sendable, Equatable {
    /// Of the block.
    let scope: RevocationKey
    let text: String
}

/// What a journal held.
struct JournalContents: Sendable {
    var entries: [RevocationEntry] = []
    /// The last one of each block.
    var cursors: [JournalCursor] = []
    var lines = 0
    /// Lines that are none: cut short, or changed.
    var damaged = 0
}

enum JournalMessage: Sendable {
    /// The cursor counts only once the entries are written. What is on the disk is reported by that number.
    case append([RevocationEntry], JournalCursor?, number: UInt64)
    /// This is all that there is.
    case rewrite([RevocationEntry], [JournalCursor])
    case finish(Mailbox<Bool>)
}

struct RevocationJournal: ~Copyable {
    private static let entryBytes = 61
    private static let lineLimit = 512

    private let path: String
    private let inbox: Mailbox<JournalMessage>
    private let results: Mailbox<ControlMessage>
    private var text = JournalText()

    /// Starts the thread that writes.
    static func start(_ path: String, _ inbox: Mailbox<JournalMessage>, _ results: Mailbox<ControlMessage>) {
        Thread.start(name: "journal") {
            var journal = RevocationJournal(path, inbox, results)
            journal.run()
        }
    }
    private init(_ path: String, _ inbox: Mailbox<JournalMessage>, _ results: Mailbox<ControlMessage>) {
        self.path = path
        self.inbox = inbox
        self.results = results
    }

    /// All that waits goes to the disk at once: the more there is to do, the less often is the disk waited for.
    private mutating func run() {
        while true {
            inbox.sleep(milliseconds: -1)
            var number: UInt64 = 0
            var finished: Mailbox<Bool>?
            var failure: String?
            text.clear()
            do throws(FileFailure) {
                for message in inbox.takeAll() {
                    switch message {
                    case .append(let entries, let cursor, let count):
                        text.append(entries, cursor)
                        number = count
                    case .rewrite(let entries, let cursors):
                        // What waits before it is in it.
                        text.clear()
                        text.begin()
                        text.append(entries, nil)
                        for cursor in cursors { text.append([], cursor) }
                        try text.replace(path)
                        text.clear()
                    case .finish(let done): finished = done
                    }
                }
                try text.append(to: path)
            } catch {
                failure = error.text
            }
            if number > 0 || failure != nil { results.post(.journalled(upTo: number, failure: failure)) }
            if let finished {
                finished.post(true)
                return
            }
        }
    }

    static func path(in stateFolder: String) -> String { stateFolder + "/revocations" }

    /// What the file holds; one that is not there is made.
    static func load(_ path: String, now: Int64) throws(FileFailure) -> JournalContents {
        try read(JournalFile(path), now: now)
    }
    /// What an open journal holds.
    static func read(_ file: consuming JournalFile, now: Int64) throws(FileFailure) -> JournalContents {
        var contents = JournalContents()
        var buffer = ByteBuffer(capacity: 2 << 20)
        let digest = SHA256()
        while try file.read(into: &buffer) {
            var count = 0
            while true {
                let end = buffer.bytes.first(UInt8(ascii: "\n"), from: count, to: buffer.count)
                guard end < buffer.count else { break }
                take(buffer.bytes.extracting(count..<end), digest, now, &contents)
                count = end + 1
            }
            buffer.consume(count)
            if buffer.count > lineLimit {
                contents.damaged += 1
                buffer.clear()
            }
        }
        if !buffer.isEmpty { contents.damaged += 1 }
        return contents
    }
    private static func take(
        _ line: borrowing Span<UInt8>, _ digest: borrowing SHA256, _ now: Int64, _ contents: inout JournalContents
    ) {
        contents.lines += 1
        if line.count == entryBytes, line[0] == UInt8(ascii: "e") {
            if let entry = JournalText.entry(line, digest) {
                if Int64(entry.until) > now { contents.entries.append(entry) }
                return
            }
        } else if line.count > 44, line[0] == UInt8(ascii: "c"), let cursor = JournalText.cursor(line, digest) {
            contents.cursors.removeAll { $0.scope == cursor.scope }
            contents.cursors.append(cursor)
            return
        } else if contents.lines == 1, line.count == 21, line.matches(0, "gateway revocations 1") {
            return
        }
        // An empty line ends one that was cut short.
        if line.count > 0 { contents.damaged += 1 }
    }
}

/// Lines of a journal, written and read: `e KEY UNTIL BEFORE CHECKSUM` and `c SCOPE CURSOR CHECKSUM`, numbers in hexadecimal.
struct JournalText: ~Copyable {
    private var buffer = ByteBuffer(capacity: 4096)
    private let digest = SHA256()

    mutating func clear() { buffer.clear() }
    mutating func begin() { buffer.append("gateway revocations 1\n") }

    mutating func append(_ entries: [RevocationEntry], _ cursor: JournalCursor?) {
        buffer.reserve(entries.count * 62 + 512)
        for entry in entries {
            let start = buffer.count
            buffer.append("e ")
            append(entry.key)
            buffer.append(byte: UInt8(ascii: " "))
            buffer.append(hexadecimal(entry.until))
            buffer.append(byte: UInt8(ascii: " "))
            buffer.append(hexadecimal(entry.before))
            end(from: start)
        }
        guard let cursor else { return }
        let start = buffer.count
        buffer.append("c ")
        append(cursor.scope)
        buffer.append(byte: UInt8(ascii: " "))
        buffer.append(Array(cursor.text.utf8).span)
        end(from: start)
    }
    private mutating func append(_ key: RevocationKey) {
        for word in [key.high, key.low] {
            buffer.append(hexadecimal(UInt32(truncatingIfNeeded: word >> 32)))
            buffer.append(hexadecimal(UInt32(truncatingIfNeeded: word)))
        }
    }
    private mutating func end(from start: Int) {
        let sum = Self.checksum(buffer.bytes.extracting(start..<buffer.count), digest)
        buffer.append(byte: UInt8(ascii: " "))
        buffer.append(hexadecimal(sum))
        buffer.append(byte: UInt8(ascii: "\n"))
    }
    private static func checksum(_ bytes: borrowing Span<UInt8>, _ digest: borrowing SHA256) -> UInt32 {
        UInt32(truncatingIfNeeded: digest.hash(bytes).words.0)
    }

    /// To the end of the file, and to the disk.
    func append(to path: String) throws(FileFailure) {
        if buffer.isEmpty { return }
        let file = try JournalFile(path)
        do throws(FileFailure) {
            try file.append(buffer.bytes)
            try file.sync()
        } catch {
            // Half a line may stand there: the next one must not continue it.
            let newline: [UInt8] = [UInt8(ascii: "\n")]
            try? file.append(newline.span)
            throw error
        }
    }
    func replace(_ path: String) throws(FileFailure) { try JournalFile.replace(path, with: buffer.bytes) }

    // Reading

    static func entry(_ line: borrowing Span<UInt8>, _ digest: borrowing SHA256) -> RevocationEntry? {
        guard isWhole(line, digest), let key = key(line), let until = number(line, 35), let before = number(line, 44)
        else { return nil }
        return RevocationEntry(key: key, until: until, before: before)
    }
    static func cursor(_ line: borrowing Span<UInt8>, _ digest: borrowing SHA256) -> JournalCursor? {
        guard isWhole(line, digest), let scope = key(line) else { return nil }
        var text: [UInt8] = []
        for i in 35..<line.count - 9 { text.append(line[i]) }
        return JournalCursor(scope: scope, text: String(decoding: text, as: UTF8.self))
    }
    private static func isWhole(_ line: borrowing Span<UInt8>, _ digest: borrowing SHA256) -> Bool {
        let end = line.count - 9
        return line[end] == UInt8(ascii: " ") && number(line, end + 1) == checksum(line.extracting(0..<end), digest)
    }
    private static func key(_ line: borrowing Span<UInt8>) -> RevocationKey? {
        guard let a = number(line, 2), let b = number(line, 10), let c = number(line, 18), let d = number(line, 26)
        else { return nil }
        return RevocationKey(high: UInt64(a) << 32 | UInt64(b), low: UInt64(c) << 32 | UInt64(d))
    }
    /// Eight digits.
    private static func number(_ line: borrowing Span<UInt8>, _ start: Int) -> UInt32? {
        var value: UInt32 = 0
        for i in start..<start + 8 {
            let digit: UInt8
            switch line[i] {
            case 0x30...0x39: digit = line[i] - 0x30
            case 0x61...0x66: digit = line[i] - 0x61 + 10
            default: return nil
            }
            value = value << 4 | UInt32(digit)
        }
        return value
    }
}
