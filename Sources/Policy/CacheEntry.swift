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

    let key: SHA256Value
    var validity: Validity
    let textCount: UInt32
    private let subjectCount: UInt16
    private let showsPermissions: Bool
    /// It can be found: it is in the index.
    var isIndexed = false
    /// Used since the sweep came by.
    var isReferenced = true
    /// Exchanges that read the texts.
    var holders: UInt32 = 0
    /// Subject and permissions, encoded.
    private var inline = InlineArray<128, UInt8>(repeating: 0)
    private let overflow: ByteBuffer?

    init(_ key: SHA256Value, _ validity: Validity, _ identity: Identity, _ text: borrowing ByteBuffer) {
        self.key = key
        self.validity = validity
        subjectCount = UInt16(identity.subjectCount)
        textCount = UInt32(text.count)
        showsPermissions = identity.showsPermissions
        guard text.count <= Self.inlineBytes else {
            var buffer = ByteBuffer(capacity: text.count)
            buffer.append(text.bytes)
            overflow = consume buffer
            return
        }
        var free = inline.mutableSpan
        let bytes = text.bytes
        for i in 0..<bytes.count { free[i] = bytes[i] }
        overflow = nil
    }

    private var text: Span<UInt8> {
        @_lifetime(borrow self) borrowing get {
            // Asked of the count first: the buffer is in a line that is not read otherwise.
            if Int(textCount) <= Self.inlineBytes { return inline.span.extracting(0..<Int(textCount)) }
            switch overflow {
            case .none: return inline.span.extracting(0..<0)
            case .some(let buffer): return buffer.bytes
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
    borrowing func writePermissions(to out: inout ByteQueue) { if showsPermissions { out.append(permissions) } }

    /// Whether the list has this very word: "read:data" is neither in "read:database" nor in "unread:data".
    borrowing func grants(_ permission: borrowing Span<UInt8>) -> Bool {
        let list = permissions
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
