// Huffman's code of HPACK (RFC 7541 appendix B), as far as tokens and other plain text need it: two letters a step.
package import Bytes

package enum HuffmanCode {
    /// Letters by the bits of their code, in its order: the code is canonical, so this says all of it. Longer codes are of
    /// letters that plain text does not have.
    private static let letters: [(bits: Int, text: String)] = [
        (5, "012aceiost"), (6, " %-./3456789=A_bdfghlmnpru"), (7, ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"), (8, "&*,;XZ"),
        (10, "!\"()?"), (11, "'+|"), (12, "#>"),
    ]
    /// Most pairs of letters have no more bits, and the table fits into the nearest cache.
    private static let width = 13

    /// What so many bits begin with, packed: one letter or two, the bits of the first and of both, and how many they are; 0: a
    /// code that is longer, or none.
    private struct Step {
        var word: UInt32
        init(word: UInt32) { self.word = word }
        init(_ letter: UInt8, bits: Int) {
            word = UInt32(letter) | UInt32(bits) << 16 | UInt32(bits) << 20 | 1 << 28
        }
        /// The letter of `next` behind this one.
        func followed(by next: Step) -> Step {
            let firstBits = UInt32(self.bits) << 16, bits = UInt32(self.bits + next.bits) << 20
            return Step(word: UInt32(first) | UInt32(next.first) << 8 | firstBits | bits | 2 << 28)
        }
        var first: UInt8 { UInt8(truncatingIfNeeded: word) }
        var second: UInt8 { UInt8(truncatingIfNeeded: word >> 8) }
        var firstBits: Int { Int(word >> 16 & 0xf) }
        var bits: Int { Int(word >> 20 & 0xf) }
        var count: Int { Int(word >> 28) }
    }
    private static let steps = makeSteps()

    private static func makeSteps() -> [Step] {
        var single = [Step](repeating: Step(word: 0), count: 1 << width)
        var code = 0, before = 0
        for (bits, text) in letters {
            code <<= bits - before
            before = bits
            for letter in text.utf8 {
                let rest = width - bits
                for i in code << rest..<(code + 1) << rest { single[i] = Step(letter, bits: bits) }
                code += 1
            }
        }
        var steps = single
        for i in single.indices where single[i].count == 1 {
            let next = single[i << single[i].bits & (1 << width - 1)]
            guard next.count == 1, single[i].bits + next.bits <= width else { continue }
            steps[i] = single[i].followed(by: next)
        }
        return steps
    }

    /// Appends what the code says. False: it has other letters, or does not end as it must; something may have been appended.
    package static func decode(_ code: borrowing Span<UInt8>, to out: inout ByteBuffer) -> Bool {
        // No letter has fewer than five bits, and a step writes two.
        out.reserve(code.count * 8 / 5 + 2)
        let steps = steps.span
        var free = out.free
        // The next bits, highest first, and how many of them are known.
        var next: UInt64 = 0, bits = 0
        var i = 0, written = 0
        while true {
            if i + 8 <= code.count {
                next |= UInt64(bigEndian: code.word(at: i)) >> UInt64(bits)
                let taken = (63 - bits) >> 3
                i += taken
                bits += taken * 8
            } else {
                while bits <= 56 && i < code.count {
                    next |= UInt64(code[i]) << UInt64(56 - bits)
                    i += 1
                    bits += 8
                }
            }
            if bits < width { break }
            while bits >= width {
                let step = steps[Int(next >> UInt64(64 - width))]
                if step.word == 0 { return false }
                free[written] = step.first
                free[written + 1] = step.second
                written += step.count
                next <<= UInt64(step.bits)
                bits -= step.bits
            }
        }
        // The rest is filled up with ones, which begin no letter of a length that is left.
        while bits > 0 {
            let step = steps[Int((next | UInt64.max >> UInt64(bits)) >> UInt64(64 - width))]
            let isWhole = step.bits <= bits
            guard step.count > 0, isWhole || step.firstBits <= bits else { break }
            free[written] = step.first
            free[written + 1] = step.second
            written += isWhole ? step.count : 1
            let used = isWhole ? step.bits : step.firstBits
            next <<= UInt64(used)
            bits -= used
        }
        out.commit(written)
        return bits < 8 && (bits == 0 || next >> UInt64(64 - bits) == 1 << UInt64(bits) - 1)
    }
}
