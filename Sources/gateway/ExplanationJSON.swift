// An explanation as JSON for programs; docs/explain.md describes the members.
import Bytes
import Configuration
import JSON
import Policy

extension Explanation {
    var json: String {
        var writer = JSONWriter(capacity: 8192)
        writer.beginObject()
        writer.name("version")
        writer.integer(1)
        writer.name("request")
        writer.beginObject()
        writer.member("method", method)
        writer.member("target", target)
        writer.member("host", host)
        writer.name("now")
        writer.integer(now)
        writer.member("time", clock)
        writer.endObject()
        writer.member("route", route)
        writer.name("steps")
        writer.beginArray()
        for step in steps { Self.write(step, to: &writer) }
        writer.endArray()
        writeVerdict(to: &writer)
        writeForwarded(to: &writer)
        writeResponse(to: &writer)
        writer.name("advice")
        writer.beginArray()
        for sentence in advice { writer.string(sentence) }
        writer.endArray()
        writer.endObject()
        let bytes = writer.buffer.bytes
        return String(decoding: bytes.indices.map { bytes[$0] }, as: UTF8.self) + "\n"
    }

    private static func write(_ step: Step, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("name", step.check.rawValue)
        writer.member("result", step.result.rawValue)
        writer.name("demanded_by")
        writer.beginArray()
        for demand in step.demands {
            writer.beginObject()
            writer.member("directive", demand.directive)
            writer.member("file", demand.position.file)
            writer.name("line")
            writer.integer(demand.position.line)
            writer.name("column")
            writer.integer(demand.position.column)
            writer.endObject()
        }
        writer.endArray()
        writer.member("expected", step.expected)
        writer.member("got", step.got)
        writer.endObject()
    }

    private func writeVerdict(to writer: inout JSONWriter) {
        writer.name("verdict")
        writer.beginObject()
        let word =
            switch verdict {
            case .forwarded: "forwarded"
            case .answered: "answered"
            case .refused: "refused"
            case .depends: "depends"
            }
        writer.member("result", word)
        if case .refused(let refusal) = verdict {
            writer.member("code", "\(refusal.code)")
            writer.name("status")
            writer.integer(refusal.status)
        } else {
            writer.member("code", nil)
            writer.member("status", nil)
        }
        writer.member("would_refuse", wouldRefuse.map { "\($0.code)" })
        writer.member("failed", failed?.check.rawValue)
        writer.endObject()
    }

    private func writeForwarded(to writer: inout JSONWriter) {
        writer.name("forwarded")
        guard !forwarded.isEmpty else { return writer.null() }
        let message = WireMessage(forwarded)
        writer.beginObject()
        writer.member("upstream", upstream)
        writer.name("endpoints")
        writer.beginArray()
        for endpoint in endpoints { writer.string(endpoint) }
        writer.endArray()
        writer.member("request_line", message.start)
        message.writeFields(to: &writer)
        writer.endObject()
    }

    private func writeResponse(to writer: inout JSONWriter) {
        writer.name("response")
        guard !response.isEmpty else { return writer.null() }
        let message = WireMessage(response)
        writer.beginObject()
        writer.name("status")
        writer.integer(Int(message.start.split(separator: " ").dropFirst().first ?? "") ?? 0)
        message.writeFields(to: &writer)
        writer.member("body", message.body)
        writer.endObject()
    }
}

/// A message of HTTP/1.1 that we wrote ourselves, taken apart again.
private struct WireMessage {
    let start: String
    var fields: [(name: String, value: String)] = []
    let body: String

    init(_ text: String) {
        let parts = text.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
        let lines = parts[0].split(separator: "\r\n")
        start = lines.first.map(String.init) ?? ""
        body = parts.count > 1 ? String(parts[1]) : ""
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields.append((String(line[..<colon]), String(line[line.index(after: colon)...].drop { $0 == " " })))
        }
    }

    func writeFields(to writer: inout JSONWriter) {
        writer.name("fields")
        writer.beginArray()
        for field in fields {
            writer.beginObject()
            writer.member("name", field.name)
            writer.member("value", field.value)
            writer.endObject()
        }
        writer.endArray()
    }
}

extension JSONWriter {
    fileprivate mutating func member(_ name: StaticString, _ value: String?) {
        self.name(name)
        if let value { string(value) } else { null() }
    }
}
