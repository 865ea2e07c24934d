// Those who wait for their turn, in the order in which they came.
import Bytes

struct WaitingLine<Place>: ~Copyable {
    private var places: [Place] = []
    private var taken = 0
    var count: Int { places.count - taken }
    var isEmpty: Bool { count == 0 }

    mutating func append(_ place: Place) { places.append(place) }
    mutating func next() -> Place? {
        guard taken < places.count else { return nil }
        let place = places[taken]
        taken += 1
        if taken == places.count {
            places.removeAll(keepingCapacity: true)
            taken = 0
        } else if taken > SlotID.listReserve {
            places.removeFirst(taken)
            taken = 0
        }
        return place
    }
}
