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

    let key: SHA256Value
    var validity: Validity
    /// Exchanges that read the texts.
    var holders: UInt32 = 0
    private let subjectCount: UInt16
    private let showsPermissions: Bool
    /// It can be found: it is in the index.
    var isIndexed = false
    /// Used since the sweep came by.
    var isReferenced = true
    /// Subject and permissions, encoded.
    private let text: ByteBuffer

    init(_ key: SHA256Value, _ validity: Validity, _ identity: consuming Identity) {
        self.key = key
        self.validity = validity
        subjectCount = UInt16(truncatingIfNeeded: identity.subjectCount)
        showsPermissions = identity.showsPermissions
        text = identity.takeText()
    }

    var textCount: Int { text.count }

    borrowing func writeSubject(to out: inout ByteBuffer) { out.append(text.prefix(Int(subjectCount))) }
    borrowing func writeSubject(to out: inout ByteQueue) { out.append(text.prefix(Int(subjectCount))) }
    borrowing func writePermissions(to out: inout ByteBuffer) {
        if showsPermissions { out.append(text.bytes.extracting(Int(subjectCount)...)) }
    }
    borrowing func writePermissions(to out: inout ByteQueue) {
        if showsPermissions { out.append(text.bytes.extracting(Int(subjectCount)...)) }
    }

    /// Whether the list has this very word: "read:data" is neither in "read:database" nor in "unread:data".
    borrowing func grants(_ permission: borrowing Span<UInt8>) -> Bool {
        let list = text.bytes
        var at = Int(subjectCount)
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
