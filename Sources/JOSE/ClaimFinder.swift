// Finds claims by path in a payload that was read whole before and is good.
import Bytes
package import JSON

/// The names that lead to a claim, in the form in which they are compared.
package struct ClaimNamePath: Sendable {
    fileprivate let names: [[UInt8]]

    package init(_ names: [String]) { self.names = names.map { Array($0.utf8) } }
}

/// Looks for claims in one payload after the other. Where the members of its outermost object lie is noted when something is
/// looked for first, so that many claims cost little more than one.
package struct ClaimFinder: ~Copyable {
    /// Not private: the compiler (6.3) fails on a hidden element type where another module destroys the finder.
    struct Member: BitwiseCopyable {
        var name: JSONEvent
        /// With the range of the whole value.
        var value: JSONEvent
    }
    /// Few tokens have more; the others are read for each claim.
    private static let maximumMembers = 48

    private let inPlace = InPlace()
    private var members: FixedArray<Member>
    private var count = 0
    private var isNoted = false
    /// There are more than those that were noted.
    private var isCut = false

    package init() {
        let nothing = JSONEvent.nothing
        members = FixedArray(repeating: Member(name: nothing, value: nothing), count: Self.maximumMembers)
    }

    /// Another payload from here on.
    package mutating func begin() { isNoted = false }

    /// Where the claim lies in the payload, with the range of its whole value; nil when nothing leads there.
    package mutating func find(
        _ path: ClaimNamePath, in payload: borrowing Span<UInt8>, _ reader: inout JSONReader
    ) -> JSONEvent? {
        if !isNoted { note(payload, &reader) }
        guard var value = first(path.names[0], in: payload, &reader) else { return nil }
        for i in 1..<max(1, path.names.count) {
            guard value.kind == .beginObject else { return nil }
            let object = value.range
            guard let inner = member(path.names[i], of: payload.extracting(object), &reader) else { return nil }
            value = inner
            value.start += Int32(truncatingIfNeeded: object.lowerBound)
            value.end += Int32(truncatingIfNeeded: object.lowerBound)
        }
        return value
    }

    private mutating func note(_ payload: borrowing Span<UInt8>, _ reader: inout JSONReader) {
        isNoted = true
        isCut = false
        count = 0
        do throws(JSONError) {
            reader.begin()
            guard try reader.next(payload).kind == .beginObject else { return }
            var event = try reader.next(payload)
            while event.kind == .name {
                guard count < Self.maximumMembers else {
                    isCut = true
                    return
                }
                members[count] = Member(name: event, value: try reader.skip(try reader.next(payload), payload))
                count += 1
                event = try reader.next(payload)
            }
        } catch {
            return
        }
    }
    private func first(
        _ name: [UInt8], in payload: borrowing Span<UInt8>, _ reader: inout JSONReader
    ) -> JSONEvent? {
        for i in 0..<count where members[i].name.equals(name.span, in: payload) { return members[i].value }
        return isCut ? member(name, of: payload, &reader) : nil
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
