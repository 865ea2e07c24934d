// The control thread's part in revocations: it knows all that is revoked, starts the threads that listen, passes news on to the
// workers and to the journal, and says when nothing was heard.
import Bytes
import Configuration
import JOSE
import Policy
import Reactor
import Telemetry

struct RevocationLedger: ~Copyable {
    /// Who named an entry.
    enum Origin: Int, CaseIterable { case feed, redis, admin }

    /// One `revocation` block and the threads that listen for it.
    struct Block {
        var configuration: Revocation
        let scope: RevocationKey
        /// How far the feed was read.
        var cursor: String?
        /// Of its threads.
        let generation: Int
        var commands: [Mailbox<SourceCommand>] = []
        let since: Instant
        var heardAt: Instant?
        var isStale = false
        /// By origin.
        var received = [UInt64](repeating: 0, count: Origin.allCases.count)
        var errors = [UInt64](repeating: 0, count: Origin.allCases.count)
        var lastFailure = [String?](repeating: nil, count: Origin.allCases.count)
        var skipped: UInt64 = 0
    }
    /// An operator who waits until what was asked for is on the disk.
    struct Waiting {
        let client: SlotID
        let number: UInt64
        let answer: String
    }

    /// All that workers know, too: so that they are told only what is new, and the journal can be written anew.
    var set = RevocationSet(secret: .random(in: .min ... .max))
    var blocks: [Block] = []
    var generation = 0
    var journal: Mailbox<JournalMessage>?
    /// Where the journal lies.
    var folder = ""
    /// Lines of the journal, and what was sent to it so far.
    var lines = 0
    var number: UInt64 = 0
    /// The journal lacks something, or is damaged: it is written anew at that time.
    var rewriteAt: Instant?
    /// When what loading the journal took is given back: the workers have it by then.
    var trimAt: Instant?
    /// Cursors of the journal whose blocks are not there.
    var cursors: [JournalCursor] = []
    var waiting: [Waiting] = []
    var dropped: UInt64 = 0
    var journalErrors: UInt64 = 0

    /// What the journal holds, before anybody is served.
    mutating func load(_ folder: String, now: Int64, time: Instant) throws(FileFailure) -> JournalContents {
        let contents = try RevocationJournal.load(RevocationJournal.path(in: folder), now: now)
        for entry in contents.entries { _ = set.insert(entry, now: now) }
        lines = contents.lines
        cursors = contents.cursors
        if contents.damaged > 0 || lines == 0 { rewriteAt = time }
        if lines > 10_000 { trimAt = time.after(seconds: 5) }
        return contents
    }

    /// Takes entries in, and gives those back that are news.
    mutating func learn(_ entries: [RevocationEntry], now: Int64) -> [RevocationEntry] {
        var news: [RevocationEntry] = []
        for entry in entries {
            switch set.insert(entry, now: now) {
            case .added, .widened: news.append(entry)
            case .known, .expired: break
            case .full: dropped += 1
            }
        }
        return news
    }
    /// To the disk, in the order in which it is learned.
    mutating func write(_ entries: [RevocationEntry], _ cursor: JournalCursor?) {
        guard let journal, !(entries.isEmpty && cursor == nil) else { return }
        number += 1
        lines += entries.count + (cursor == nil ? 0 : 1)
        journal.post(.append(entries, cursor, number: number))
    }
    /// Writes the journal anew when most of it says nothing any more, or something is missing in it.
    mutating func compact(now: Int64, time: Instant) {
        guard let journal else { return }
        let isDue = rewriteAt.map { time >= $0 } ?? false
        guard isDue || lines > 2 * set.count + 1000 else { return }
        rewriteAt = nil
        let entries = set.entries(now: now)
        let all =
            cursors + blocks.compactMap { block in block.cursor.map { JournalCursor(scope: block.scope, text: $0) } }
        lines = entries.count + all.count + 1
        journal.post(.rewrite(entries, all))
    }

    var gauges: RevocationTotals {
        var totals = RevocationTotals()
        totals.entries = set.count
        totals.dropped = dropped
        totals.journalErrors = journalErrors
        let now = EventLoop.monotonic
        for block in blocks {
            var gauges = RevocationGauges(name: block.configuration.name)
            for origin in Origin.allCases {
                gauges.received.append(("\(origin)", block.received[origin.rawValue]))
                gauges.errors.append(("\(origin)", block.errors[origin.rawValue]))
            }
            gauges.skipped = block.skipped
            if block.configuration.hasSource {
                let last = block.heardAt ?? block.since
                gauges.ageSeconds = (now.nanoseconds &- min(last.nanoseconds, now.nanoseconds)) / 1_000_000_000
            }
            totals.blocks.append(gauges)
        }
        return totals
    }
    /// Every block without which requests are refused was heard.
    var isReady: Bool { blocks.allSatisfy { !$0.configuration.deniesWhenStale || $0.heardAt != nil } }
}

extension ControlPlane {
    /// Entries that a worker is told in one message: what it does with them takes a fraction of a millisecond.
    private static var sliceCount: Int { 1024 }

    /// Opens the journal and passes on what it holds; before the first configuration is installed.
    mutating func openRevocationJournal() throws(FileFailure) {
        guard let folder = state?.path, !configuration.revocations.isEmpty else { return }
        if revocations.journal != nil && revocations.folder == folder { return }
        closeRevocationJournal()
        // What is known already is not in that file.
        let isMoved = revocations.set.count > 0
        let contents = try revocations.load(folder, now: loop.wallSeconds, time: loop.now)
        tell(contents.entries)
        if contents.damaged > 0 {
            say(.warning, "the journal of revocations had \(contents.damaged) damaged lines, which are left out")
        }
        if revocations.set.count > 0 { say(.notice, "\(revocations.set.count) revocations are in force") }
        let journal = Mailbox<JournalMessage>()
        revocations.journal = journal
        revocations.folder = folder
        RevocationJournal.start(RevocationJournal.path(in: folder), journal, inbox)
        if isMoved { revocations.rewriteAt = loop.now }
        revocations.compact(now: loop.wallSeconds, time: loop.now)
    }

    /// One set of threads for each block; those whose sources are the same go on.
    mutating func prepareRevocations() {
        var older = revocations.blocks
        revocations.blocks = []
        for configured in configuration.revocations {
            if let i = older.firstIndex(where: { $0.configuration.name == configured.name }) {
                var block = older.remove(at: i)
                if block.configuration.listensLike(configured) {
                    block.configuration = configured
                    revocations.blocks.append(block)
                    continue
                }
                for commands in block.commands { commands.post(.stop) }
                let cursor = block.configuration.feed == configured.feed ? block.cursor : nil
                revocations.blocks.append(started(configured, cursor: cursor))
            } else {
                revocations.blocks.append(started(configured, cursor: nil))
            }
        }
        for block in older {
            for commands in block.commands { commands.post(.stop) }
            if let cursor = block.cursor { revocations.cursors.append(JournalCursor(scope: block.scope, text: cursor)) }
        }
    }
    private mutating func started(_ configured: Revocation, cursor: String?) -> RevocationLedger.Block {
        var keys = RevocationKeys()
        let scope = keys.scope(configured.name)
        var cursor = cursor
        if let known = revocations.cursors.firstIndex(where: { $0.scope == scope }) {
            cursor = cursor ?? revocations.cursors[known].text
            revocations.cursors.remove(at: known)
        }
        revocations.generation += 1
        var block = RevocationLedger.Block(
            configuration: configured, scope: scope, cursor: cursor, generation: revocations.generation, since: loop.now
        )
        if let feed = configured.feed {
            let commands = Mailbox<SourceCommand>()
            block.commands.append(commands)
            RevocationFeed.start(configured, feed, cursor: cursor, generation: block.generation, commands, inbox)
        }
        if let channel = configured.channel {
            let commands = Mailbox<SourceCommand>()
            block.commands.append(commands)
            RevocationChannel.start(configured, channel, generation: block.generation, commands, inbox)
        }
        return block
    }

    mutating func take(_ report: RevocationReport) {
        guard
            let i = revocations.blocks.firstIndex(where: {
                $0.configuration.name == report.name && $0.generation == report.generation
            })
        else { return }
        let source = report.source.rawValue
        switch report.outcome {
        case .failed(let reason):
            revocations.blocks[i].errors[source] += 1
            if revocations.blocks[i].lastFailure[source] != reason {
                revocations.blocks[i].lastFailure[source] = reason
                say(.warning, "revocations \"\(report.name)\" from \(place(i, report.source)): \(reason)")
            }
        case .resync:
            revocations.blocks[i].cursor = nil
            say(.notice, "revocations \"\(report.name)\": the feed does not know where we were, all is read again")
        case .heard(let document): heard(document, of: i, report)
        }
    }
    private func place(_ i: Int, _ source: RevocationReport.Source) -> String {
        switch source {
        case .feed: revocations.blocks[i].configuration.feed?.url ?? ""
        case .redis: revocations.blocks[i].configuration.channel?.place ?? ""
        }
    }
    private mutating func heard(_ document: RevocationDocument, of i: Int, _ report: RevocationReport) {
        let source = report.source.rawValue
        revocations.blocks[i].heardAt = loop.now
        revocations.blocks[i].received[source] += UInt64(document.entries.count)
        revocations.blocks[i].skipped += UInt64(document.skipped)
        if revocations.blocks[i].lastFailure[source] != nil, !report.isMessage || !document.entries.isEmpty {
            revocations.blocks[i].lastFailure[source] = nil
            say(.notice, "revocations \"\(report.name)\" from \(place(i, report.source)) are heard again")
            // What was published meanwhile may stand in the feed.
            if report.source == .redis { revocations.blocks[i].commands.first?.post(.hurry) }
        }
        let news = spread(document.entries)
        var cursor: JournalCursor?
        if let text = document.cursor, text != revocations.blocks[i].cursor {
            revocations.blocks[i].cursor = text
            cursor = JournalCursor(scope: revocations.blocks[i].scope, text: text)
        }
        revocations.write(news, cursor)
        for worker in workers { worker.post(.revocationsHeard(report.name, at: loop.now)) }
        if report.isMessage {
            let commands = revocations.blocks[i].commands
            (report.source == .feed ? commands.first : commands.last)?.post(.taken)
        }
    }
    /// Everybody is told what is new.
    private mutating func spread(_ entries: [RevocationEntry]) -> [RevocationEntry] {
        let before = revocations.dropped
        let news = revocations.learn(entries, now: loop.wallSeconds)
        if revocations.dropped > before && before == 0 {
            say(.error, "there are more than \(RevocationSet.maximumEntries) revocations: new ones have no effect")
        }
        tell(news)
        return news
    }
    private func tell(_ entries: [RevocationEntry]) {
        var start = 0
        while start < entries.count {
            let end = min(start + Self.sliceCount, entries.count)
            let slice = Array(entries[start..<end])
            for worker in workers { worker.post(.revoked(slice)) }
            start = end
        }
    }

    /// At each tick.
    mutating func keepUpRevocations() {
        if let at = revocations.trimAt, loop.now >= at {
            revocations.trimAt = nil
            Host.trimHeap()
        }
        revocations.set.keepUp(steps: 2048, now: loop.wallSeconds)
        revocations.compact(now: loop.wallSeconds, time: loop.now)
        for i in revocations.blocks.indices where revocations.blocks[i].configuration.hasSource {
            let block = revocations.blocks[i]
            let age = loop.now.nanoseconds &- (block.heardAt ?? block.since).nanoseconds
            let isStale = age > block.configuration.maxAge.nanoseconds
            if isStale && !block.isStale {
                let effect = block.configuration.deniesWhenStale ? "are refused" : "pass all the same"
                say(
                    .error,
                    "revocations \"\(block.configuration.name)\": no source was heard for "
                        + "\(age / 1_000_000_000) s, requests \(effect)")
            }
            revocations.blocks[i].isStale = isStale
        }
    }
    mutating func journalled(upTo number: UInt64, failure: String?) {
        if let failure {
            revocations.journalErrors += 1
            revocations.rewriteAt = loop.now.after(seconds: 5)
            say(.error, "the journal of revocations cannot be written: \(failure)")
        }
        for one in revocations.waiting where one.number <= number || failure != nil {
            answerRevoke(one.client, status: failure == nil ? 200 : 500, one.answer)
        }
        revocations.waiting.removeAll { $0.number <= number || failure != nil }
    }
    /// No more is written: whoever starts next reads what is there.
    mutating func closeRevocationJournal() {
        guard let journal = revocations.journal else { return }
        let done = Mailbox<Bool>()
        journal.post(.finish(done))
        done.sleep(milliseconds: 2000)
        revocations.journal = nil
    }

    // MARK: operators

    /// `POST /revoke` and `POST /revoke/NAME`.
    mutating func revoke(_ client: SlotID, block name: String?, _ body: [UInt8]) {
        let chosen = revocations.blocks.indices.filter {
            name == nil || revocations.blocks[$0].configuration.name == name
        }
        guard !chosen.isEmpty else { return answerRevoke(client, status: 404, "there is no such revocation block\n") }
        var documents: [RevocationDocument] = []
        for i in chosen {
            do throws(RevocationDocumentError) {
                var reader = RevocationReader(revocation: revocations.blocks[i].configuration.name)
                documents.append(try reader.entries(body.span))
            } catch {
                revocations.blocks[i].errors[RevocationLedger.Origin.admin.rawValue] += 1
                return answerRevoke(client, status: 400, "\(error.reason)\n")
            }
        }
        let dropped = revocations.dropped
        for (i, document) in zip(chosen, documents) {
            revocations.blocks[i].received[RevocationLedger.Origin.admin.rawValue] += UInt64(document.entries.count)
            revocations.blocks[i].skipped += UInt64(document.skipped)
            revocations.write(spread(document.entries), nil)
        }
        if revocations.dropped > dropped { return answerRevoke(client, status: 503, "there is no room for more\n") }
        let answer = "{\"revoked\":\(documents[0].entries.count),\"skipped\":\(documents[0].skipped)}\n"
        guard let journal = revocations.journal else { return answerRevoke(client, status: 200, answer) }
        // Behind all that is on its way to the disk, what was known already included.
        revocations.number += 1
        journal.post(.append([], nil, number: revocations.number))
        revocations.waiting.append(RevocationLedger.Waiting(client: client, number: revocations.number, answer: answer))
    }
    private mutating func answerRevoke(_ client: SlotID, status: Int, _ text: String) {
        let isJSON = status == 200
        let body = status == 500 ? "it holds until the gateway ends, but could not be written down\n" : text
        admin.answer(
            client, status: status, type: isJSON ? "application/json" : "text/plain", body: Array(body.utf8),
            isLate: true, &loop)
    }
}

extension Revocation {
    /// Its threads would do the same.
    fileprivate func listensLike(_ other: Revocation) -> Bool {
        feed == other.feed && channel == other.channel && clientID == other.clientID
            && clientSecret == other.clientSecret && maxAge == other.maxAge && authorities == other.authorities
    }
}
