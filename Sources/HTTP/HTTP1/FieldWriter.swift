// Writing the fields that travel on; adjoining ones go across in one copy.
import Bytes

extension HeaderFields {
    /// Appends the field lines that neither `filter`, `extra` nor the message's own Connection field take away. The queue
    /// must have room for `bytes.count`.
    borrowing func write(dropping filter: borrowing FieldFilter, _ extra: FieldSet, to out: inout ByteQueue) {
        let dropped = filter.names.union(extra)
        let end = Int(positions[count].name)
        var runStart = count == 0 ? end : Int(positions[0].name)
        if mayDrop(dropped, filter) {
            let looksAtAll = hasUnderscores || nominatedLengths != 0
            let known = looksAtAll ? UInt64.max : dropped.bits, others = looksAtAll ? UInt64.max : filter.sketch
            for k in 0..<count {
                let marks = positions[k].id == .other ? others : known
                guard positions[k].mark & marks != 0, drops(k, dropped, filter) else { continue }
                let at = Int(positions[k].name)
                if at > runStart { out.append(arena.bytes.extracting(runStart..<at)) }
                if filter.stripsCookies, positions[k].id == .cookie { writeCookies(k, filter, to: &out) }
                runStart = Int(positions[k + 1].name)
            }
        }
        if end > runStart { out.append(arena.bytes.extracting(runStart..<end)) }
    }

    /// False when not one field can be concerned, so that they need not be looked at one by one.
    private func mayDrop(_ dropped: FieldSet, _ filter: borrowing FieldFilter) -> Bool {
        seen.bits & dropped.bits != 0 || otherNames & filter.sketch != 0 || hasUnderscores || nominatedLengths != 0
    }

    @inline(__always)
    private borrowing func drops(_ k: Int, _ dropped: FieldSet, _ filter: borrowing FieldFilter) -> Bool {
        let alias = positions[k].alias
        if dropped.contains(alias) { return true }
        if alias == .other, filter.matchesCustom(arena.bytes, name(at: k)) { return true }
        if hasUnderscores, filter.dropsUnderscores, hasUnderscore(k) { return true }
        let length = lengthBit(Int(positions[k].nameCount))
        return nominatedLengths & length != 0 && !FieldSet.fixed.contains(alias) && isNominated(k)
    }

    private borrowing func hasUnderscore(_ k: Int) -> Bool {
        let all = arena.bytes
        for i in name(at: k) where all[i] == UInt8(ascii: "_") { return true }
        return false
    }

    /// True when some Connection field names the field at `k`.
    borrowing func isNominated(_ k: Int) -> Bool {
        let all = arena.bytes
        let name = self.name(at: k)
        for c in 0..<count where positions[c].id == .connection {
            let end = Int(positions[c].valueEnd)
            var i = Int(positions[c].value)
            while i < end {
                let element = all.listElement(from: i, to: end)
                if element.end - element.start == name.count, all.sameName(name.lowerBound, element.start, name.count) {
                    return true
                }
                i = element.next
            }
        }
        return false
    }
}

extension Span where Element == UInt8 {
    /// True when the `count` bytes from `a` and from `b` are the same name; upper and lower case are the same.
    func sameName(_ a: Int, _ b: Int, _ count: Int) -> Bool {
        for j in 0..<count where lowerCase(self[a + j]) != lowerCase(self[b + j]) { return false }
        return true
    }
}

@inline(__always)
func lowerCase(_ byte: UInt8) -> UInt8 { byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte }
