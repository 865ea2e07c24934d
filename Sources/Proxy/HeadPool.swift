// Heads by index. An exchange holds one until its log line is written; a head keeps its memory when it is given back.
import Bytes
import HTTP

struct HeadPool: ~Copyable {
    /// Bytes of a head whose memory is kept for the next one.
    private static var keptSize: Int { 8 * 1024 }

    private var heads: SlotTable<RequestHead>
    private var idle: [SlotID] = []

    /// One for each exchange, and the spare one that the next request is parsed into.
    init(capacity: Int) {
        heads = SlotTable(capacity: capacity)
        idle.reserveCapacity(min(capacity, SlotID.listReserve))
    }

    mutating func take() -> SlotID {
        if let id = idle.popLast() { return id }
        guard let id = heads.insert(RequestHead()) else { preconditionFailure("fewer exchanges than heads") }
        return id
    }
    mutating func give(_ id: SlotID) {
        if heads[id].size > Self.keptSize { heads[id].clear() }
        idle.append(id)
    }
    subscript(id: SlotID) -> RequestHead {
        @inline(__always) _read { yield heads[id] }
        @inline(__always) _modify { yield &heads[id] }
    }
}
