// Connections whose TLS handshake can go on, in the order in which they came.
import Bytes

struct HandshakeLine: ~Copyable {
    /// A certificate's signature costs a tenth of a millisecond with P-256 and four tenths with RSA: whoever has a connection
    /// waits for so many at most in a turn, and a flood of strangers waits in line.
    static let perTurn = 8

    private var places: [SlotID] = []
    private var taken = 0

    var isEmpty: Bool { taken == places.count }
    mutating func append(_ id: SlotID) { places.append(id) }
    mutating func next() -> SlotID? {
        guard taken < places.count else { return nil }
        let id = places[taken]
        taken += 1
        if taken == places.count {
            places.removeAll(keepingCapacity: true)
            taken = 0
        } else if taken > SlotID.listReserve {
            places.removeFirst(taken)
            taken = 0
        }
        return id
    }
}
