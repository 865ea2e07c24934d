// Vector scans and wide compares over spans. Every pointer comes from a span and is used within one call.
public import CScan

extension Span where Element == UInt8 {
    /// First index from `i` whose byte is not a tchar; `count` if none. The others likewise.
    @inlinable @inline(__always) public func endOfToken(from i: Int) -> Int {
        precondition(i >= 0 && i <= count)
        return unsafe withUnsafeBufferPointer { unsafe cs_scan_token($0.baseAddress, i, $0.count) }
    }
    @inlinable @inline(__always) public func endOfTarget(from i: Int) -> Int {
        precondition(i >= 0 && i <= count)
        return unsafe withUnsafeBufferPointer { unsafe cs_scan_target($0.baseAddress, i, $0.count) }
    }
    @inlinable @inline(__always) public func endOfValue(from i: Int) -> Int {
        precondition(i >= 0 && i <= count)
        return unsafe withUnsafeBufferPointer { unsafe cs_scan_value($0.baseAddress, i, $0.count) }
    }
    /// First index in `i..<end` at which a path is no longer plain: its end, or a byte that some server reads otherwise.
    @inlinable @inline(__always) public func endOfPlainPath(from i: Int, to end: Int) -> Int {
        precondition(i >= 0 && i <= end && end <= count)
        return unsafe withUnsafeBufferPointer { unsafe cs_scan_path($0.baseAddress, i, end, $0.count) }
    }
    /// First index from `i` that ends a run of plain text in a JSON string: a quote, a backslash, a control byte or a byte
    /// from 0x80 up; `count` if none.
    @inlinable @inline(__always) public func endOfPlainJSON(from i: Int) -> Int {
        precondition(i >= 0 && i <= count)
        return unsafe withUnsafeBufferPointer { unsafe cs_scan_json_string($0.baseAddress, i, $0.count) }
    }
    /// Whether both hold the same bytes.
    @inlinable @inline(__always) public func isEqual(to other: borrowing Span<UInt8>) -> Bool {
        guard count == other.count else { return false }
        return unsafe withUnsafeBufferPointer { a in
            unsafe other.withUnsafeBufferPointer { b in unsafe cs_equal(a.baseAddress, b.baseAddress, a.count) != 0 }
        }
    }
    /// Whether all bytes are visible ASCII, and neither `%` nor `other`.
    public func isVisible(without other: UInt8) -> Bool {
        unsafe withUnsafeBufferPointer { bytes in
            guard let start = bytes.baseAddress else { return true }
            return unsafe cs_is_visible_without(start, bytes.count, other) != 0
        }
    }
    /// Decodes base64url from the first byte on, for as long as all 16 of the next are digits and 16 bytes of room are left;
    /// gives the digits taken, a multiple of 16.
    func decodeBase64URL(into free: inout MutableSpan<UInt8>) -> Int {
        unsafe withUnsafeBufferPointer { digits in
            unsafe free.withUnsafeMutableBufferPointer { out in
                guard let from = digits.baseAddress, let to = out.baseAddress else { return 0 }
                return Int(unsafe cs_base64url_decode(from, digits.count, to, out.count))
            }
        }
    }
    /// First index of `byte` in `i..<end`; `end` if none.
    @inlinable @inline(__always) public func first(_ byte: UInt8, from i: Int, to end: Int) -> Int {
        precondition(i >= 0 && i <= end && end <= count)
        return unsafe withUnsafeBufferPointer { unsafe cs_find($0.baseAddress, i, end, Int32(byte)) }
    }
    /// First index from `i` whose byte is not a tchar, and whether a `_` stands before it.
    @inlinable @inline(__always) public func endOfName(from i: Int) -> (end: Int, hasUnderscore: Bool) {
        precondition(i >= 0 && i <= count)
        let found = unsafe withUnsafeBufferPointer { unsafe cs_scan_name($0.baseAddress, i, $0.count) }
        return (Int(found >> 1), found & 1 != 0)
    }
    /// The field line from `i`; nil when it is not whole, or not in order.
    @inlinable @inline(__always) public func fieldLine(from i: Int) -> FieldLine? {
        precondition(i >= 0 && i <= count)
        let line = unsafe withUnsafeBufferPointer { unsafe cs_scan_field_line($0.baseAddress, i, $0.count) }
        if line.next == 0 { return nil }
        return FieldLine(
            nameEnd: line.name_end, value: line.value, valueEnd: line.value_end, next: line.next,
            hasUnderscore: line.has_underscore != 0)
    }
    /// First index in `i..<end` at which a host name stops: a byte that has no place in one, or an empty label's dot.
    @inlinable @inline(__always) public func endOfHost(from i: Int, to end: Int) -> Int {
        precondition(i >= 0 && i <= end && end <= count)
        return unsafe withUnsafeBufferPointer { unsafe cs_scan_host($0.baseAddress, i, end, $0.count) }
    }
    /// First index from `i` whose byte is a line feed; `count` if none.
    @inlinable @inline(__always) public func endOfLine(from i: Int) -> Int {
        precondition(i >= 0 && i <= count)
        return unsafe withUnsafeBufferPointer { unsafe cs_find($0.baseAddress, i, $0.count, 10) }
    }
    /// True when the bytes from `i` begin with the literal, byte for byte; false too when there are fewer.
    @inlinable @inline(__always) public func matches(_ i: Int, _ literal: StaticString) -> Bool {
        let n = literal.utf8CodeUnitCount
        if i < 0 || i > count - n { return false }
        return unsafe withUnsafeBufferPointer { b in
            for k in 0..<n where unsafe b[i + k] != literal.utf8Start[k] { return false }
            return true
        }
    }
    /// Eight bytes from `i`, lowest address lowest.
    @inlinable @inline(__always) public func word(at i: Int) -> UInt64 {
        precondition(i >= 0 && i <= count - 8)
        return unsafe withUnsafeBufferPointer {
            unsafe UnsafeRawPointer($0.baseAddress! + i).loadUnaligned(as: UInt64.self)
        }
    }
    /// Compares the bytes from `i` with a lower-case literal, ASCII case folded; valid for bytes of tokens and field
    /// values (a CR would pass for a hyphen).
    @inlinable @inline(__always) public func folds(_ i: Int, to literal: StaticString) -> Bool {
        let n = literal.utf8CodeUnitCount
        precondition(i >= 0 && n <= count &- i)
        return unsafe withUnsafeBufferPointer { b in
            let p = unsafe b.baseAddress! + i, w = unsafe literal.utf8Start
            if n >= 8 {
                var k = 0
                while k + 8 <= n {
                    if unsafe load(p + k) | 0x2020_2020_2020_2020 != load(w + k) { return false }
                    k += 8
                }
                return unsafe load(p + n - 8) | 0x2020_2020_2020_2020 == load(w + n - 8)
            }
            if n >= 4 {
                return unsafe half(p) | 0x2020_2020 == half(w) && half(p + n - 4) | 0x2020_2020 == half(w + n - 4)
            }
            for k in 0..<n where unsafe p[k] | 0x20 != w[k] { return false }
            return true
        }
    }
    @inlinable @inline(__always) func load(_ p: UnsafePointer<UInt8>) -> UInt64 {
        unsafe UnsafeRawPointer(p).loadUnaligned(as: UInt64.self)
    }
    @inlinable @inline(__always) func half(_ p: UnsafePointer<UInt8>) -> UInt32 {
        unsafe UnsafeRawPointer(p).loadUnaligned(as: UInt32.self)
    }
}

/// The parts of one field line, as indices.
@frozen public struct FieldLine: BitwiseCopyable {
    public let nameEnd: Int
    /// The value, without the blanks around it.
    public let value: Int
    public let valueEnd: Int
    /// Where the next line begins.
    public let next: Int
    /// The name has a `_` in it.
    public let hasUnderscore: Bool

    @inlinable init(nameEnd: Int, value: Int, valueEnd: Int, next: Int, hasUnderscore: Bool) {
        self.nameEnd = nameEnd
        self.value = value
        self.valueEnd = valueEnd
        self.next = next
        self.hasUnderscore = hasUnderscore
    }
}

/// True for a tchar (RFC 9110 section 5.6.2).
@inlinable public func isTokenCharacter(_ byte: UInt8) -> Bool {
    var one = byte
    return unsafe withUnsafePointer(to: &one) { unsafe cs_scan_token($0, 0, 1) == 1 }
}
