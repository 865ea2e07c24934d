// Bytes between the two sides of an exchange. Each function borrows one client and one upstream at once.
import Bytes
import Connections
import HTTP
import Policy

/// Moves `n` bytes of data from the front of the input.
@inline(__always)
func relayRequestBody(
    _ n: Int, of input: inout ByteBuffer, to upstream: inout ClientConnection, _ call: SlotID,
    _ buffers: inout BufferPool
) {
    upstream.sendBody(input.prefix(n), on: call, &buffers)
    input.consume(n)
}

/// The same towards the client.
@inline(__always)
func relayBody(
    _ n: Int, of input: inout ByteBuffer, to client: inout ServerConnection, _ buffers: inout BufferPool
) {
    client.sendBody(input.prefix(n), &buffers)
    input.consume(n)
}

/// Takes response events for as long as they need no decision.
func relayAnswer(
    from upstream: inout ClientConnection, to client: inout ServerConnection, _ input: inout ByteBuffer,
    head: inout ResponseHead, _ exchange: inout Exchange, _ buffers: inout BufferPool
) -> MessageEvent {
    while true {
        let event = upstream.next(in: &input, head: &head)
        switch event {
        case .body(let n):
            relayBody(n, of: &input, to: &client, &buffers)
            exchange.bodySent &+= UInt64(n)
        case .starved, .paused:
            upstream.keep(&input, &buffers)
            return event
        case .head, .end, .malformed, .overrun, .streams: return event
        }
    }
}

// The same where the client's side is a stream of a session.

func relayRequestBody(
    _ range: Range<Int>, of session: inout ServerSession, _ number: Int32, to upstream: inout ClientConnection,
    _ call: SlotID, _ buffers: inout BufferPool
) {
    upstream.sendBody(session.part(range), on: call, &buffers)
    session.consume(range.count, number)
}
func keepRequestBody(
    _ range: Range<Int>, of session: borrowing ServerSession, in stream: inout ServerStream,
    _ buffers: inout BufferPool
) {
    stream.keep(session.part(range), &buffers)
}
func relayKeptBody(
    of stream: inout ServerStream, to upstream: inout ClientConnection, _ call: SlotID,
    _ session: inout ServerSession, _ buffers: inout BufferPool
) {
    session.consume(stream.sendKept(to: &upstream, call, &buffers), stream.number)
}
@inline(__always)
func relayBody(
    _ n: Int, of input: inout ByteBuffer, to session: inout ServerSession, _ number: Int32, _ buffers: inout BufferPool
) {
    session.send(input.prefix(n), number, &buffers)
    input.consume(n)
}
func relayAnswer(
    from upstream: inout ClientConnection, to session: inout ServerSession, _ number: Int32, _ input: inout ByteBuffer,
    head: inout ResponseHead, _ exchange: inout Exchange, _ buffers: inout BufferPool
) -> MessageEvent {
    while true {
        let event = upstream.next(in: &input, head: &head)
        switch event {
        case .body(let n):
            relayBody(n, of: &input, to: &session, number, &buffers)
            exchange.bodySent &+= UInt64(n)
        case .starved, .paused:
            upstream.keep(&input, &buffers)
            return event
        case .head, .end, .malformed, .overrun, .streams: return event
        }
    }
}
/// Sends an answer of the gateway's own.
func sendAnswer(
    _ answer: borrowing LocalResponseWriter, as fields: inout StreamFields, to session: inout ServerSession,
    _ number: Int32, _ buffers: inout BufferPool
) {
    fields.take(status: answer.status, answer.fields)
    let body = answer.sentBody
    session.respond(fields, number, isWhole: body.isEmpty)
    if body.isEmpty { return }
    session.send(body, number, &buffers)
    session.finish(number)
}

/// Appends a request's head as the route wants it. `added` is whole fields.
func sendRequestHead(
    _ head: borrowing RequestHead, _ snapshot: borrowing Snapshot, _ route: Route, _ filter: SlotID,
    matchedPrefix: Int, adding added: borrowing ByteBuffer, to out: inout ByteQueue, _ buffers: inout BufferPool
) {
    out.reserve(head.bytes.count + added.count + 128, &buffers)
    if route.hasURI {
        let step = snapshot.steps[Int(route.uri.start)]
        let uri = snapshot.text.bytes.extracting(Int(step.start)..<Int(step.start + step.count))
        out.reserve(head.bytes.count + added.count + uri.count + 128, &buffers)
        head.writeRequestLine(replacingPathPrefix: matchedPrefix, with: uri, to: &out)
    } else {
        head.writeRequestLine(to: &out)
    }
    out.append(added.bytes)
    head.writeFields(dropping: snapshot.filters[filter], to: &out)
    if head.framing == .chunked { out.append("Transfer-Encoding: chunked\r\n") }
    out.append("\r\n")
}
