// One verified token in the cache: what it is found by comes first, so that a hit reads few cache lines.
import Bytes
import JOSE

struct CacheEntry: ~Copyable {
    /// When a token is good, and by which key.
    struct Validity: BitwiseCopyable {
        /// Wall-clock seconds; good before this one.
        var goodUntil: Int64
        /// Of the key set, when the signing key was last known to be in it.
        var keyGeneration: UInt32
        var keySerial: UInt32
        /// Wall-clock seconds; good from this one.
        var goodFrom: Int64
    }

    /// Bytes of text that lie in the entry: a UUID and a handful of permissions; with the slot's header that makes four cache
    /// lines. Longer ones have memory of their own.
    static let inlineBytes = 128

    /// A borrowed value with an array in it would be copied for each question.
    private let inPlace = InPlace()
    let key: SHA256Value
    var validity: Validity
    /// Bytes of all texts.
    let textCount: UInt32
    /// Bytes of subject and permissions.
    let mainCount: UInt32
    private let subjectCount: UInt16
    /// Fields behind them, in memory of their own; see `IdentityFields`.
    private let fieldCount: UInt8
    let showsPermissions: Bool
    /// It can be found: it is in the index.
    var isIndexed = false
    /// Below: exchanges that read the texts. Above: how often one began to, so that a hit adds one number. Billions of hits
    /// wrap around, and the entry seems new for a moment.
    private var holding: UInt64 = 0
    /// Subject and permissions, encoded.
    private var inline = InlineArray<128, UInt8>(repeating: 0)
    private let overflow: ByteBuffer?
    /// The header fields that were made of the identity last, ready to be written again, and which fields they are.
    private var fieldLines: ByteBuffer?
    private var stamp: UInt32 = 0

    init(_ key: SHA256Value, _ validity: Validity, _ identity: Identity, _ text: borrowing ByteBuffer) {
        self.key = key
        self.validity = validity
        subjectCount = UInt16(identity.subjectCount)
        textCount = UInt32(text.count)
        mainCount = UInt32(identity.mainCount)
        fieldCount = UInt8(identity.fieldCount)
        showsPermissions = identity.showsPermissions
        var outside = 0..<text.count
        if identity.mainCount <= Self.inlineBytes {
            var free = inline.mutableSpan
            let bytes = text.bytes
            for i in 0..<identity.mainCount { free[i] = bytes[i] }
            outside = identity.mainCount..<text.count
        }
        guard !outside.isEmpty else {
            overflow = nil
            return
        }
        var buffer = ByteBuffer(capacity: outside.count)
        buffer.append(text.bytes.extracting(outside))
        overflow = consume buffer
    }

    /// Bytes of text that have memory of their own.
    static func bytesOutside(mainCount: Int, _ textCount: Int) -> Int {
        mainCount <= inlineBytes ? textCount - mainCount : textCount
    }
    var bytesOutside: Int { Self.bytesOutside(mainCount: Int(mainCount), Int(textCount)) }

    /// Word by word: the operator is a call into another module.
    @inline(__always)
    func isOf(_ other: SHA256Value) -> Bool {
        (key.words.0 ^ other.words.0) | (key.words.1 ^ other.words.1) | (key.words.2 ^ other.words.2)
            | (key.words.3 ^ other.words.3) == 0
    }

    mutating func hold() { holding &+= 1 << 32 | 1 }
    /// Whether it is over with the entry.
    mutating func release() -> Bool {
        holding &-= 1
        return isOver
    }
    var isHeld: Bool { UInt32(truncatingIfNeeded: holding) != 0 }
    /// Neither found nor held.
    var isOver: Bool { !isHeld && !isIndexed }
    /// How often it was held since the queues last looked at it.
    var uses: UInt32 {
        get { UInt32(truncatingIfNeeded: holding >> 32) }
        set { holding = UInt64(newValue) << 32 | holding & 0xffff_ffff }
    }

    private var text: Span<UInt8> {
        @_lifetime(borrow self) borrowing get {
            // Asked of the count first: the buffer is in a line that is not read otherwise.
            if Int(mainCount) <= Self.inlineBytes { return inline.span.extracting(0..<Int(mainCount)) }
            switch overflow {
            case .none: return inline.span.extracting(0..<0)
            case .some(let buffer): return buffer.prefix(Int(mainCount))
            }
        }
    }
    /// The table of fields and the fields.
    private var fields: Span<UInt8> {
        @_lifetime(borrow self) borrowing get {
            switch overflow {
            case .none: return inline.span.extracting(0..<0)
            case .some(let buffer):
                if Int(mainCount) <= Self.inlineBytes { return buffer.bytes }
                return buffer.bytes.extracting(Int(mainCount)...)
            }
        }
    }
    private var subject: Span<UInt8> {
        @_lifetime(borrow self) borrowing get { text.extracting(0..<Int(subjectCount)) }
    }
    private var permissions: Span<UInt8> {
        @_lifetime(borrow self) borrowing get { text.extracting(Int(subjectCount)...) }
    }

    borrowing func writeSubject(to out: inout ByteBuffer) { out.append(subject) }
    borrowing func writeSubject(to out: inout ByteQueue) { out.append(subject) }
    borrowing func writePermissions(to out: inout ByteBuffer) { if showsPermissions { out.append(permissions) } }

    /// Whether the list has this very word: "read:data" is neither in "read:database" nor in "unread:data".
    borrowing func has(_ element: borrowing Span<UInt8>, in list: IdentityList) -> Bool {
        switch list {
        case .permissions: return Self.has(element, in: permissions)
        case .scopes: return Self.has(element, in: field(0))
        case .roles: return Self.has(element, in: field(1))
        }
    }

    /// As it is kept, whatever its length.
    borrowing func write(_ list: IdentityList, to out: inout ByteBuffer) {
        switch list {
        case .permissions: out.append(permissions)
        case .scopes: out.append(field(0))
        case .roles: out.append(field(1))
        }
    }

    /// Whether an element with wildcards covers it.
    borrowing func covers(_ element: borrowing Span<UInt8>, in list: IdentityList) -> Bool {
        switch list {
        case .permissions: return GrantWildcard.list(permissions, covers: element)
        case .scopes: return GrantWildcard.list(field(0), covers: element)
        case .roles: return false
        }
    }

    // Header fields

    /// Appends the fields of that stamp; false when they were not made yet.
    borrowing func writeFields(stamp wanted: UInt32, to out: inout ByteBuffer) -> Bool {
        guard stamp == wanted else { return false }
        switch fieldLines {
        case .none: return false
        case .some(let lines): out.append(lines.bytes)
        }
        return true
    }
    mutating func keepFields(_ lines: borrowing Span<UInt8>, stamp new: UInt32) {
        var buffer = ByteBuffer(capacity: lines.count)
        buffer.append(lines)
        fieldLines = consume buffer
        stamp = new
    }
    /// Bytes that the kept fields take.
    var bytesOfFields: Int {
        switch fieldLines {
        case .none: 0
        case .some(let lines): lines.count
        }
    }

    // Claims, by their index among those that the configuration asks for

    borrowing func shape(ofClaim index: Int) -> ClaimShape {
        guard index + 2 < Int(fieldCount) else { return .absent }
        return IdentityFields.shape(index + 2, count: Int(fieldCount), in: fields)
    }
    /// Whether it is kept as that text.
    borrowing func claim(_ index: Int, equals value: borrowing Span<UInt8>) -> Bool {
        field(index + 2).isEqual(to: value)
    }
    borrowing func writeClaim(_ index: Int, to out: inout ByteBuffer) { out.append(field(index + 2)) }
    /// Whether a list has this element, encoded as one.
    borrowing func claim(_ index: Int, contains element: borrowing Span<UInt8>) -> Bool {
        shape(ofClaim: index) == .list && Self.has(element, in: field(index + 2))
    }

    /// As it is kept; empty when it is not there.
    @_lifetime(borrow self)
    private borrowing func field(_ index: Int) -> Span<UInt8> {
        let range = rangeOfField(index)
        return fields.extracting(range)
    }

    private borrowing func rangeOfField(_ index: Int) -> Range<Int> {
        index < Int(fieldCount) ? IdentityFields.range(index, count: Int(fieldCount), in: fields) : 0..<0
    }

    /// Whether one of the elements, with commas between, is that word.
    static func has(_ permission: borrowing Span<UInt8>, in list: borrowing Span<UInt8>) -> Bool {
        var at = 0
        while at < list.count {
            let end = list.first(IdentityEncoding.separator, from: at, to: list.count)
            if end - at == permission.count {
                var i = 0
                while i < permission.count, list[at + i] == permission[i] { i += 1 }
                if i == permission.count { return true }
            }
            at = end + 1
        }
        return false
    }
}
