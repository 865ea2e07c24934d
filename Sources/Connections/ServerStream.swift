// One request of a session and its answer: what is still to come of the one, and whether the other has begun.
package import Bytes
package import Reactor

package struct ServerStream: ~Copyable {
    package let client: SlotID
    package let session: SlotID
    /// By which the session knows it.
    package let number: Int32
    package var exchange = SlotID.none
    package var deadline: Deadline?
    /// The client has sent all.
    package private(set) var hasEnded: Bool
    package private(set) var responseBegun = false
    private var kept = ByteQueue()
    /// Field lines that came behind the body of the request.
    package private(set) var trailers: [UInt8] = []

    package init(client: SlotID, session: SlotID, number: Int32, isWhole: Bool) {
        self.client = client
        self.session = session
        self.number = number
        hasEnded = isWhole
    }

    /// Parts of the body wait until somebody takes them.
    package var keepsBytes: Bool { !kept.isEmpty }
    package var keptCount: Int { kept.count }
    package var keptBytes: Span<UInt8> { @_lifetime(borrow self) borrowing get { kept.bytes } }
    /// Nothing of the request is to come, from the client or from here.
    package var requestIsComplete: Bool { hasEnded && kept.isEmpty }

    package mutating func keep(trailers lines: Span<UInt8>) { for i in lines.indices { trailers.append(lines[i]) } }
    package mutating func end() { hasEnded = true }
    package mutating func beginResponse() { responseBegun = true }

    /// Keeps a part of the body: at most as much as the client's window allows.
    package mutating func keep(_ part: Span<UInt8>, _ pool: inout BufferPool) {
        kept.reserve(part.count, &pool)
        kept.append(part)
    }
    /// Sends on what was kept; returns how much it was.
    package mutating func sendKept(
        to upstream: inout ClientConnection, _ call: SlotID, _ pool: inout BufferPool
    ) -> Int {
        let count = kept.count
        upstream.sendBody(kept.bytes, on: call, &pool)
        kept.release(to: &pool)
        return count
    }
    /// Gives blocks back before the slot is destroyed.
    package mutating func release(_ pool: inout BufferPool) { kept.release(to: &pool) }
}
