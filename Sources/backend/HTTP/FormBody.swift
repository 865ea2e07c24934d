// The parameters of an application/x-www-form-urlencoded body, read as RFC 6749 §3.2 wants.
import Foundation
import HTTPTypes
import Hummingbird

struct FormBody: Sendable {
    private static let sizeLimitBytes = 16 * 1024
    private let parameters: [String: String]

    /// Unknown parameters are ignored, those without a value are as absent, and none may come twice.
    init(_ request: Request) async throws {
        let types = request.headers[values: .contentType]
        let type = types.first?.split(separator: ";", omittingEmptySubsequences: false).first?
            .trimmingCharacters(in: .whitespaces).lowercased()
        guard types.count == 1, type == "application/x-www-form-urlencoded" else {
            throw Problem.oauth("invalid_request", "the body must be application/x-www-form-urlencoded")
        }
        let buffer = try await request.body.collect(upTo: Self.sizeLimitBytes)
        var parameters: [String: String] = [:]
        for pair in buffer.readableBytesView.split(separator: UInt8(ascii: "&")) {
            let halves = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Self.decode(halves[0]), let value = Self.decode(halves.count == 2 ? halves[1] : [])
            else { throw Problem.oauth("invalid_request", "the body is not correctly encoded") }
            guard parameters.updateValue(value, forKey: name) == nil else {
                throw Problem.oauth("invalid_request", "a parameter is given twice")
            }
        }
        self.parameters = parameters
    }

    subscript(name: String) -> String? {
        parameters[name].flatMap { $0.isEmpty ? nil : $0 }
    }

    func require(_ name: String) throws(Problem) -> String {
        guard let value = self[name] else { throw .oauth("invalid_request", "the parameter \(name) is missing") }
        return value
    }

    /// Plus signs are blanks and %XX are bytes of UTF-8; nil for anything half.
    static func decode(_ text: some Sequence<UInt8>) -> String? {
        var bytes: [UInt8] = []
        var source = text.makeIterator()
        while let byte = source.next() {
            switch byte {
            case UInt8(ascii: "+"): bytes.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                guard let high = source.next().flatMap(digit), let low = source.next().flatMap(digit) else {
                    return nil
                }
                bytes.append(high << 4 | low)
            default: bytes.append(byte)
            }
        }
        guard !bytes.contains(0) else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        Character(Unicode.Scalar(byte)).hexDigitValue.map { UInt8($0) }
    }
}

extension Problem {
    /// An answer of the form that RFC 6749 §5.2 prescribes.
    static func oauth(_ error: String, _ detail: String, code: String? = nil) -> Problem {
        Problem(status: .badRequest, code: code ?? error, detail: detail, oauthError: error)
    }

    static let invalidClient = Problem(
        status: .unauthorized, code: "invalid_client", detail: "the client has not shown who it is",
        challenge: "Basic realm=\"oauth\"", oauthError: "invalid_client")
    /// RFC 6749 §5.2: the client is known, and this is not for it.
    static let unauthorizedClient = Problem(
        status: .forbidden, code: "access_denied", detail: "this client has no right to do that",
        oauthError: "unauthorized_client")
}
