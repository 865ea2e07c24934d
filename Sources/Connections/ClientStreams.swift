// A connection to an upstream that speaks in frames: many requests at once, each on a stream that is named by its slot.
package import Bytes
package import HTTP
import HTTP2

/// What such a connection says of a request that it carries.
package enum AnswerMessage {
    /// The head lies in the head that was passed in.
    case head(SlotID)
    /// A part of the body, to be read with `part`.
    case body(SlotID, Range<Int>)
    case end(SlotID)
    /// What came is no answer.
    case malformed(SlotID)
    /// There will be no answer, or no more of it. `isSafe`: the server did nothing about the request.
    case failed(SlotID, isSafe: Bool)
}

extension ClientConnection {
    package var streamCount: Int { frames?.streamCount() ?? 0 }
    package var uploadCount: Int { frames?.uploadCount() ?? 0 }
    /// Requests that the server takes at once, as far as it has said so, and that we give it.
    package var streamLimit: Int { frames?.capacity() ?? 0 }
    package var takesRequests: Bool { !isBroken && preamble.isEmpty && frames?.isOpen() == true }

    // MARK: requests

    /// Begins a request; the caller flushes. Nil: there is no room for it.
    package mutating func begin(
        _ fields: borrowing StreamFields, of exchange: SlotID, hasBody: Bool, isHEAD: Bool
    ) -> SlotID? {
        requests &+= 1
        return frames?.begin(
            fields.list, owner: exchange, hasBody: hasBody, isHEAD: isHEAD, isOnUsed: hasReceived && requests > 1)
    }
    /// Bytes of a body, on a stream where the connection has such.
    package mutating func sendBody(_ bytes: Span<UInt8>, on call: SlotID, _ pool: inout BufferPool) {
        if call == .none { sendBody(bytes, &pool) } else { frames?.send(bytes, on: call, pool: &pool) }
    }
    /// Ends a request, with field lines behind its body.
    package mutating func endRequest(on call: SlotID, trailers: [UInt8] = [], _ pool: inout BufferPool) {
        if call != .none {
            frames?.finish(call, trailers: trailers)
        } else if trailers.isEmpty {
            endRequest(&pool)
        } else {
            endRequest(trailers: trailers, &pool)
        }
    }
    /// Bytes of the request's body that wait.
    package func waiting(_ call: SlotID) -> Int { frames?.waiting(call) ?? 0 }
    package func owner(of call: SlotID) -> SlotID { frames?.owner(call) ?? .none }
    /// The requests that are on their way are at these places.
    package var places: Int { frames?.places() ?? 0 }
    package func call(at place: Int) -> SlotID? { frames?.occupant(place) }
    /// Not one byte of the request left.
    package func isUnsent(_ call: SlotID) -> Bool { isConnecting || frames?.isUnsent(call) == true }
    /// It went to a connection that had served others, and nothing came back: the server may have closed it meanwhile.
    package func isStale(_ call: SlotID) -> Bool { frames?.isStale(call) == true }
    /// Nobody waits for the answer, or it is whole: its slot is not named again.
    package mutating func release(_ call: SlotID, _ pool: inout BufferPool) {
        if frames?.contains(call) == true { frames?.release(call, pool: &pool) }
    }

    mutating func flushFrames(_ pool: inout BufferPool) -> FlushResult {
        while true {
            if frames?.write(to: &output, upTo: ConnectionLimits.frames, pool: &pool) != true { isBroken = true }
            if output.isEmpty { return isBroken ? .broken : .emptied }
            let result = write(&pool)
            guard case .emptied = result else { return result }
        }
    }

    // MARK: answers

    /// Takes what came. False: it is no HTTP/2, or the last that the server has to say.
    package mutating func takeFrames(_ input: borrowing ByteBuffer) -> Bool { frames?.receive(input.bytes) == true }

    package mutating func nextAnswer(into head: inout ResponseHead) -> AnswerMessage? {
        while let event = frames?.next() {
            switch event {
            case .head(let call, let range, let isWhole):
                if let message = begin(call, range, isWhole: isWhole, &head) { return message }
            case .body(let call, let range):
                if !range.isEmpty { return .body(call, range) }
            case .trailers(let call, let range): frames?.keepTrailers(range, of: call)
            case .end(let call):
                frames?.end(call)
                return .end(call)
            case .failed(let call, let isSafe):
                // A server that has answered may stop listening.
                if frames?.hasEnded(call) != true { return .failed(call, isSafe: isSafe) }
            }
        }
        return nil
    }
    private mutating func begin(
        _ call: SlotID, _ range: Range<Int>, isWhole: Bool, _ head: inout ResponseHead
    ) -> AnswerMessage? {
        if frames?.readHead(range, of: call, isWhole: isWhole, into: &head) != nil { return .malformed(call) }
        guard head.status < 200 else { return .head(call) }
        let interim = frames?.countInterim(call) ?? 0
        return head.status == 101 || interim > ConnectionLimits.interimResponses ? .malformed(call) : .head(call)
    }

    /// Appends the bytes of a body that a message told of; they are here until the next `takeFrames`.
    package func append(_ range: Range<Int>, to out: inout ByteBuffer) { frames?.append(range, to: &out) }
    /// So many bytes of it went on: the server may send as many more.
    package mutating func consume(_ count: Int, of call: SlotID) { frames?.consume(count, of: call) }
    /// Keeps them until somebody takes them: at most as many as the stream's window allows.
    package mutating func keep(_ range: Range<Int>, of call: SlotID, _ pool: inout BufferPool) {
        frames?.keep(range, of: call, pool: &pool)
    }
    package func keepsBytes(_ call: SlotID) -> Bool { frames?.keepsBytes(call) == true }
    /// Moves what was kept.
    package mutating func takeKept(_ call: SlotID, to out: inout ByteBuffer, _ pool: inout BufferPool) {
        frames?.takeKept(call, to: &out, pool: &pool)
    }
    /// Nothing more comes of the answer, but for what is kept.
    package func hasEnded(_ call: SlotID) -> Bool { frames?.hasEnded(call) == true }
    /// Field lines that came behind its body.
    package func trailers(of call: SlotID) -> [UInt8] { call == .none ? trailers : frames?.trailers(call) ?? [] }
}
