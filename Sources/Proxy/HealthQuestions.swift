// What a health check asks of an endpoint, and what it makes of the answer.
import Bytes
import Configuration
import Connections
import HTTP
import Policy
import Reactor

extension HealthChecker {
    // MARK: the question

    mutating func ask(_ target: HealthTarget, over id: SlotID) {
        switch target.check.kind {
        case .tcp: return
        case .http(let path, _):
            connections[id].beginRequest(.none, isHEAD: false)
            let call = send(
                "GET \(path) HTTP/1.1\r\nHost: \(target.authority)\r\nUser-Agent: gateway-health-check\r\n\r\n", id)
            if let call { connections[id].endRequest(on: call, &buffers) }
        case .grpc(let service):
            let message = HealthMessage.request(service: service)
            connections[id].beginRequest(.chunked, isHEAD: false)
            let milliseconds = target.check.timeout.nanoseconds / 1_000_000
            let call = send(
                "POST \(HealthMessage.path) HTTP/1.1\r\nHost: \(target.authority)\r\nContent-Type: application/grpc\r\n"
                    + "User-Agent: gateway-health-check\r\ngrpc-timeout: \(milliseconds)m\r\n\r\n", id, hasBody: true)
            guard let call else { return }
            connections[id].sendBody(message.span, on: call, &buffers)
            connections[id].endRequest(on: call, &buffers)
        }
    }
    /// The stream of the question, where the connection has such. Nil: it took none, which shows when it is late.
    private mutating func send(_ head: String, _ id: SlotID, hasBody: Bool = false) -> SlotID? {
        let bytes = Array(head.utf8)
        guard connections[id].isFramed else {
            connections[id].output.reserve(bytes.count, &buffers)
            connections[id].output.append(bytes.span)
            return SlotID.none
        }
        var text = ByteQueue()
        text.reserve(bytes.count, &buffers)
        text.append(bytes.span)
        fields.take(request: text, isTLS: connections[id].isSecured)
        text.release(to: &buffers)
        return connections[id].begin(fields, of: connections[id].exchange, hasBody: hasBody, isHEAD: false)
    }

    // MARK: the answer

    /// Writes and reads as much as there is; whatever came may have to be answered.
    mutating func advance(_ id: SlotID, _ target: SlotID) {
        if case .broken = connections[id].flush(&buffers) { connections[id].stopSending(&buffers) }
        while connections.contains(id) {
            switch connections[id].receive(into: &input, &buffers) {
            case .nothing: break
            case .closed, .failed: return ended(target, "it closed the connection")
            case .bytes: if connections[id].isFramed ? takeFrames(id, target) : takeEvents(id, target) { return }
            }
            guard connections[id].canProceed else { break }
        }
        if connections.contains(id), connections[id].outputCount > 0 || connections[id].isFramed {
            _ = connections[id].flush(&buffers)
        }
    }
    /// True: the check is over.
    private mutating func takeEvents(_ id: SlotID, _ target: SlotID) -> Bool {
        while true {
            switch connections[id].next(in: &input, head: &response) {
            case .head: if takeHead(target) { return true }
            case .body(let n): if takeBody(n, target) { return true }
            case .end:
                ended(target, failure(of: target, trailers: connections[id].trailers))
                return true
            case .starved, .paused:
                connections[id].keep(&input, &buffers)
                return false
            case .malformed, .overrun, .streams:
                ended(target, "its answer is no HTTP, or was refused")
                return true
            }
        }
    }
    private mutating func takeFrames(_ id: SlotID, _ target: SlotID) -> Bool {
        let goesOn = connections[id].takeFrames(input)
        while let message = connections[id].nextAnswer(into: &response) {
            switch message {
            case .head: if takeHead(target) { return true }
            case .body(let call, let range):
                input.clear()
                connections[id].append(range, to: &input)
                if takeBody(range.count, target) { return true }
                connections[id].consume(range.count, of: call)
            case .end(let call):
                ended(target, failure(of: target, trailers: connections[id].trailers(of: call)))
                return true
            case .malformed, .failed:
                ended(target, "its answer is no HTTP, or was refused")
                return true
            }
        }
        input.clear()
        if !goesOn { ended(target, "its answer is no HTTP, or was refused") }
        return !goesOn
    }
    private mutating func takeHead(_ target: SlotID) -> Bool {
        if response.isInterim { return false }
        watched[target].status = response.status
        watched[target].headStatus = grpcStatus(of: response)
        guard case .http(_, let expected) = watched[target].target.check.kind else { return false }
        let isGood = expected.contains(response.status)
        ended(target, isGood ? nil : "it answered \(response.status)")
        return true
    }
    private mutating func takeBody(_ n: Int, _ target: SlotID) -> Bool {
        guard watched[target].body.count + n <= Self.bodyLimit else {
            ended(target, "its answer is no HealthCheckResponse")
            return true
        }
        append(input, n, to: &watched[target].body)
        input.consume(n)
        return false
    }
    /// Of a whole answer in gRPC; nil: it serves.
    private func failure(of id: SlotID, trailers: [UInt8]) -> String? {
        guard watched[id].status == 200 else { return "it answered \(watched[id].status)" }
        let lines = String(decoding: trailers, as: UTF8.self).split(separator: "\r\n")
        let line = lines.first { $0.lowercased().hasPrefix("grpc-status:") }
        let said = line.map { Array($0.dropFirst(12).utf8) } ?? watched[id].headStatus
        guard let said, let code = UInt8(String(decoding: said, as: UTF8.self).filter { $0 != " " }) else {
            return "its answer has no grpc-status"
        }
        switch code {
        case 0: break
        case 5: return "it does not know the service (grpc-status 5)"
        case 12: return "it does not implement grpc.health.v1.Health (grpc-status 12)"
        default: return "grpc-status \(code)"
        }
        guard let status = HealthMessage.status(of: watched[id].body) else {
            return "its answer is no HealthCheckResponse"
        }
        return status == .serving ? nil : status.word
    }
}

private func grpcStatus(of head: borrowing ResponseHead) -> [UInt8]? {
    let name = Array("grpc-status".utf8)
    guard let range = head.value(named: name.span) else { return nil }
    let bytes = head.bytes
    return range.map { bytes[$0] }
}
private func append(_ input: borrowing ByteBuffer, _ n: Int, to body: inout [UInt8]) {
    let bytes = input.bytes
    for i in 0..<n { body.append(bytes[i]) }
}
