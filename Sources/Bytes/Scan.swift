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
        precondition(i >= 0 && i <= count - n)
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
            for k in 0..<n where unsafe p[k] | 0x20 != w[k] { return false }
            return true
        }
    }
    @inlinable @inline(__always) func load(_ p: UnsafePointer<UInt8>) -> UInt64 {
        unsafe UnsafeRawPointer(p).loadUnaligned(as: UInt64.self)
    }
}

/// True for a tchar (RFC 9110 section 5.6.2).
@inlinable public func isTokenCharacter(_ byte: UInt8) -> Bool {
    var one = byte
    return unsafe withUnsafePointer(to: &one) { unsafe cs_scan_token($0, 0, 1) == 1 }
}
