// The messages of the gRPC health checking protocol (grpc.health.v1), of which there are two with one field each.

package enum HealthMessage {
    package static let path = "/grpc.health.v1.Health/Check"

    /// What the service says of itself.
    package enum Status: Equatable, Sendable {
        case unknown, serving, notServing, serviceUnknown
        /// None of the protocol's.
        case other(UInt64)

        package var word: String {
            switch self {
            case .unknown: "UNKNOWN"
            case .serving: "SERVING"
            case .notServing: "NOT_SERVING"
            case .serviceUnknown: "SERVICE_UNKNOWN"
            case .other(let number): "status \(number)"
            }
        }
    }

    /// A HealthCheckRequest as gRPC sends it: a byte for compression, the length, `service` as field 1 (none when empty).
    package static func request(service: String) -> [UInt8] {
        let name = Array(service.utf8)
        var message: [UInt8] = []
        if !name.isEmpty {
            message.append(0x0a)
            var count = name.count
            while count >= 0x80 {
                message.append(UInt8(count & 0x7f) | 0x80)
                count >>= 7
            }
            message.append(UInt8(count))
            message += name
        }
        let count = message.count
        return [0, UInt8(count >> 24 & 255), UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255)]
            + message
    }

    /// The status in a whole body with one HealthCheckResponse; nil: it is none. Fields that are not known are skipped, as
    /// protocol buffers want it.
    package static func status(of body: [UInt8]) -> Status? {
        guard body.count >= 5, body[0] == 0 else { return nil }
        let count = body[1..<5].reduce(0) { $0 << 8 | Int($1) }
        guard body.count == 5 + count else { return nil }
        var i = 5
        var status: UInt64 = 0
        while i < body.count {
            guard let tag = number(body, &i) else { return nil }
            switch tag & 7 {
            case 0:
                guard let value = number(body, &i) else { return nil }
                if tag >> 3 == 1 { status = value }
            case 1: i += 8
            case 2:
                guard let size = number(body, &i), size <= UInt64(body.count - i) else { return nil }
                i += Int(size)
            case 5: i += 4
            default: return nil
            }
        }
        guard i == body.count else { return nil }
        switch status {
        case 0: return .unknown
        case 1: return .serving
        case 2: return .notServing
        case 3: return .serviceUnknown
        default: return .other(status)
        }
    }
    /// A varint of at most ten bytes.
    private static func number(_ body: [UInt8], _ i: inout Int) -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while i < body.count, shift < 70 {
            let byte = body[i]
            i += 1
            value |= shift < 64 ? UInt64(byte & 0x7f) << shift : 0
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }
}
