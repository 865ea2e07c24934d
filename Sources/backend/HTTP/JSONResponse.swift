// JSON answers and strictly read JSON requests.
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

extension Response {
    /// The value as JSON; `fields` may name another type than application/json.
    static func json(
        _ value: some Encodable, status: HTTPResponse.Status = .ok, fields: HTTPFields = [:]
    ) throws -> Response {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return json(bytes: [UInt8](try encoder.encode(value)), status: status, fields: fields)
    }

    /// The same of a text that is JSON already.
    static func json(
        bytes: [UInt8], status: HTTPResponse.Status = .ok, fields: HTTPFields = [:]
    ) -> Response {
        var fields = fields
        if fields[.contentType] == nil { fields[.contentType] = "application/json" }
        // A browser must not guess that an answer with a name in it is a page.
        fields[.xContentTypeOptions] = "nosniff"
        return Response(status: status, headers: fields, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }
}

extension Request {
    /// A login or a token fits many times over; more is an attack on memory.
    static let bodyLimitBytes = 16 * 1024

    /// The body, which must be declared as JSON: other sites' forms cannot send that type (CSRF).
    func jsonBody(upTo limit: Int = bodyLimitBytes) async throws -> JSONNode {
        try JSONReader.parse(try await jsonBytes(upTo: limit))
    }

    /// The same where there need not be one.
    func optionalJSONBody() async throws -> JSONNode? {
        let bytes = try await jsonBytes(upTo: Self.bodyLimitBytes)
        return bytes.isEmpty ? nil : try JSONReader.parse(bytes)
    }

    /// Throws 415 for a body that is not declared as JSON, or not declared at all.
    func requireJSON() throws(Problem) {
        guard isJSON else { throw .wrongMediaType }
    }

    private func jsonBytes(upTo limit: Int) async throws -> [UInt8] {
        try requireJSON()
        let buffer = try await body.collect(upTo: limit)
        return Array(buffer.readableBytesView)
    }

    private var isJSON: Bool {
        let types = headers[values: .contentType]
        guard types.count == 1 else { return false }
        // As nearly everybody writes it.
        if types[0] == "application/json" { return true }
        let parts = types[0].split(separator: ";", omittingEmptySubsequences: false).map {
            $0.trimmingCharacters(in: .whitespaces).lowercased()
        }
        let parametersAllowed: Set<String> = ["charset=utf-8", "charset=\"utf-8\""]
        return parts.first == "application/json" && parts.dropFirst().allSatisfy(parametersAllowed.contains)
    }
}
