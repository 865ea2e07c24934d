// Which server answers for a host: names of all listeners in one hash table, wildcards tried from long to short.
import Bytes

/// The servers of each listener by name (nginx's order: exact, longest `*.x`, longest `x.*`, expressions in the order of the
/// file, the listener's default). Names are compared without case.
struct ServerNames: ~Copyable {
    enum Kind: UInt8, BitwiseCopyable { case exact, suffix, prefix }

    struct Entry: BitwiseCopyable {
        /// -1: an empty slot.
        var server: Int32 = -1
        var listener: Int32 = 0
        var kind = Kind.exact
        var nameStart: UInt32 = 0
        var nameCount: UInt32 = 0
    }

    struct PatternChoice: BitwiseCopyable {
        var pattern: SlotID
        var listener: Int32
        var server: Int32
    }

    /// What there is to look for, by listener.
    struct ListenerNames: BitwiseCopyable {
        var defaultServer: Int32
        var hasOthers = false
        var hasPatterns = false
        /// Bytes of the longest name of each wildcard kind; 0: none.
        var longestSuffix = 0
        var longestPrefix = 0
    }

    private let names: ByteBuffer
    /// Open addressing; a power of two of slots, less than half of them taken.
    private let slots: FixedArray<Entry>
    private let patterns: FixedArray<PatternChoice>
    private let listeners: FixedArray<ListenerNames>

    init(_ builder: borrowing ServerNamesBuilder) {
        var size = 4
        while size < 2 * builder.entries.count + 1 { size *= 2 }
        var slots = FixedArray(repeating: Entry(), count: size)
        let names = builder.names.span
        for entry in builder.entries {
            let range = Int(entry.nameStart)..<Int(entry.nameStart + entry.nameCount)
            var i = Self.hash(names.extracting(range), entry.kind, entry.listener) & (size - 1)
            while slots[i].server >= 0 { i = (i + 1) & (size - 1) }
            slots[i] = entry
        }
        self.slots = slots
        var bytes = ByteBuffer(capacity: max(1, names.count))
        bytes.append(names)
        self.names = bytes
        patterns = FixedArray(builder.patterns)
        listeners = FixedArray(builder.listeners)
    }

    /// The server for a host without its port and without the dot that may end it.
    borrowing func server(for host: Span<UInt8>, listener: Int, _ compiled: inout SlotTable<Pattern>) -> Int {
        let known = listeners[listener]
        guard known.hasOthers else { return Int(known.defaultServer) }
        let listener = Int32(truncatingIfNeeded: listener)
        if let server = find(host, .exact, listener) { return server }
        if let server = findSuffix(host, listener, known.longestSuffix) { return server }
        if let server = findPrefix(host, listener, known.longestPrefix) { return server }
        if known.hasPatterns, let server = findPattern(host, listener, &compiled) { return server }
        return Int(known.defaultServer)
    }

    private borrowing func find(_ name: Span<UInt8>, _ kind: Kind, _ listener: Int32) -> Int? {
        var i = Self.hash(name, kind, listener) & (slots.count - 1)
        while slots[i].server >= 0 {
            if isEqual(slots[i], name, kind, listener) { return Int(slots[i].server) }
            i = (i + 1) & (slots.count - 1)
        }
        return nil
    }

    /// `*.x` is kept as `.x`, with at least one byte before it.
    private borrowing func findSuffix(_ host: Span<UInt8>, _ listener: Int32, _ longest: Int) -> Int? {
        guard longest > 0 else { return nil }
        for i in max(1, host.count - longest)..<max(1, host.count) where host[i] == UInt8(ascii: ".") {
            if let server = find(host.extracting(i..<host.count), .suffix, listener) { return server }
        }
        return nil
    }

    /// `x.*` is kept as `x.`, with at least one byte behind it.
    private borrowing func findPrefix(_ host: Span<UInt8>, _ listener: Int32, _ longest: Int) -> Int? {
        var count = min(longest, host.count - 1)
        while count > 0 {
            if host[count - 1] == UInt8(ascii: "."),
                let server = find(host.extracting(0..<count), .prefix, listener)
            {
                return server
            }
            count -= 1
        }
        return nil
    }

    /// An expression that comes to no end has not matched: the next ones and the default remain.
    private borrowing func findPattern(
        _ host: Span<UInt8>, _ listener: Int32, _ compiled: inout SlotTable<Pattern>
    ) -> Int? {
        for i in 0..<patterns.count where patterns[i].listener == listener {
            if compiled[patterns[i].pattern].evaluate(host) == .matches { return Int(patterns[i].server) }
        }
        return nil
    }

    private borrowing func isEqual(_ entry: Entry, _ name: Span<UInt8>, _ kind: Kind, _ listener: Int32) -> Bool {
        guard entry.listener == listener && entry.kind == kind && Int(entry.nameCount) == name.count else {
            return false
        }
        let names = names.bytes
        for i in 0..<name.count where names[Int(entry.nameStart) + i] != Self.lowercased(name[i]) { return false }
        return true
    }

    /// FNV-1a. Keys are the configuration's alone, so that a client can choose where it looks but not how full it is there.
    private static func hash(_ name: Span<UInt8>, _ kind: Kind, _ listener: Int32) -> Int {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325 ^ UInt64(kind.rawValue) ^ UInt64(UInt32(bitPattern: listener)) << 8
        for i in 0..<name.count { hash = (hash ^ UInt64(lowercased(name[i]))) &* 0x100_0000_01b3 }
        return Int(truncatingIfNeeded: hash >> 20)
    }

    @inline(__always)
    private static func lowercased(_ byte: UInt8) -> UInt8 {
        byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte
    }
}
