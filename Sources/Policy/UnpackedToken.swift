// A token taken apart for a person to read. Nothing here decides: it shows what those compared who did.
import Bytes
import JOSE
import JSON

package struct UnpackedToken: Sendable {
    /// A member at the top of header or payload.
    package struct Member: Sendable, Equatable {
        package let name: String
        /// Of a string its text, of everything else its JSON.
        package let text: String
        package let isString: Bool
        /// Of a number: the seconds that it stands for, when it can be a date.
        package let seconds: Int64?
        /// Of an array: the texts of its strings; of a string: itself.
        package let elements: [String]

        /// As JSON would have it: strings in quotes.
        package var shown: String { isString ? "\"\(text)\"" : text }
    }

    /// Where a malformed token is malformed.
    package enum Fault: Sendable { case shape, header, claims }

    package let bytes: Int
    /// What dots separate.
    package let parts: Int
    package let signatureIsEmpty: Bool
    /// Nil: it cannot be read.
    package let header: [Member]?
    package let claims: [Member]?
    /// The first thing that cannot be read; nil: it can be taken apart whole.
    package let fault: Fault?

    package init(_ token: [UInt8]) {
        bytes = token.count
        let segments = token.split(separator: UInt8(ascii: "."), maxSplits: 8, omittingEmptySubsequences: false)
        parts = segments.count
        signatureIsEmpty = segments.count == 3 && segments[2].isEmpty
        guard segments.count == 3, segments[0...1].allSatisfy({ !$0.isEmpty }) else {
            (header, claims, fault) = (nil, nil, .shape)
            return
        }
        header = Self.members(Array(segments[0]))
        claims = Self.members(Array(segments[1]))
        let isReadable = Self.decode(Array(segments[1])) != nil && Self.decode(Array(segments[2])) != nil
        fault = !isReadable ? .shape : header == nil ? .header : claims == nil ? .claims : nil
    }

    package func headerMember(_ name: String) -> Member? { header?.first { $0.name == name } }
    package func claim(_ name: String) -> Member? { claims?.first { $0.name == name } }

    private static func decode(_ segment: [UInt8]) -> [UInt8]? {
        var buffer = ByteBuffer(capacity: segment.count + 8)
        guard Base64URL.decode(segment.span, into: &buffer) else { return nil }
        let bytes = buffer.bytes
        return bytes.indices.map { bytes[$0] }
    }

    private static func members(_ segment: [UInt8]) -> [Member]? {
        guard let bytes = decode(segment) else { return nil }
        let document = bytes.span
        var reader = JSONReader()
        var found: [Member] = []
        do throws(JSONError) {
            reader.begin()
            guard try reader.next(document).kind == .beginObject else { return nil }
            var event = try reader.next(document)
            while event.kind == .name {
                let value = try reader.skip(try reader.next(document), document)
                found.append(member(event.text(of: document), value, document))
                event = try reader.next(document)
            }
            _ = try reader.next(document)
        } catch {
            return nil
        }
        return found
    }

    private static func member(_ name: String, _ value: JSONEvent, _ document: borrowing Span<UInt8>) -> Member {
        let isString = value.kind == .string
        let raw = document.extracting(value.range)
        let text = isString ? value.text(of: document) : String(decoding: raw.indices.map { raw[$0] }, as: UTF8.self)
        return Member(
            name: name, text: text, isString: isString,
            seconds: value.kind == .number ? NumericDate.seconds(value, in: document) : nil,
            elements: isString ? [text] : value.kind == .beginArray ? strings(raw) : [])
    }

    private static func strings(_ array: Span<UInt8>) -> [String] {
        var reader = JSONReader()
        var found: [String] = []
        do throws(JSONError) {
            reader.begin()
            _ = try reader.next(array)
            var element = try reader.next(array)
            while element.kind != .endArray {
                if element.kind == .string { found.append(element.text(of: array)) }
                try reader.skip(element, array)
                element = try reader.next(array)
            }
        } catch {
            return found
        }
        return found
    }
}
