// Finds claims by path in a payload that was read whole before and is good.
import Bytes
package import JSON

/// The names that lead to a claim, in the form in which they are compared.
package struct ClaimNamePath: Sendable {
    private let names: [[UInt8]]

    package init(_ names: [String]) { self.names = names.map { Array($0.utf8) } }

    /// Where the claim lies in the payload, with the range of its whole value; nil when nothing leads there.
    package func find(in payload: borrowing Span<UInt8>, _ reader: inout JSONReader) -> JSONEvent? {
        var object = 0..<payload.count
        for i in names.indices {
            guard var value = member(names[i], of: payload.extracting(object), &reader) else { return nil }
            value.start += Int32(truncatingIfNeeded: object.lowerBound)
            value.end += Int32(truncatingIfNeeded: object.lowerBound)
            if i == names.count - 1 { return value }
            guard value.kind == .beginObject else { return nil }
            object = value.range
        }
        return nil
    }

    private func member(
        _ name: [UInt8], of object: borrowing Span<UInt8>, _ reader: inout JSONReader
    ) -> JSONEvent? {
        do throws(JSONError) {
            reader.begin()
            guard try reader.next(object).kind == .beginObject else { return nil }
            var event = try reader.next(object)
            while event.kind == .name {
                let value = try reader.skip(try reader.next(object), object)
                if event.equals(name.span, in: object) { return value }
                event = try reader.next(object)
            }
        } catch {
            return nil
        }
        return nil
    }
}
