// A regular expression that cannot run away. Owns PCRE2's compiled code, match block and limits, and frees them in deinit;
// the pointers never leave this file, and PCRE2 keeps no pointer to a text beyond the call that it was given to.
import CPCRE2

/// A PCRE2 expression, compiled once and used by one worker.
@safe package struct Pattern: ~Copyable {
    package enum Outcome: Sendable { case matches, differs, undecided }

    /// Why an expression does not compile.
    package struct Mistake: Error {
        /// PCRE2's words.
        package let message: String
        /// Bytes of the expression before the place.
        package let offset: Int
    }

    /// Steps of one match: about a millisecond, where a malicious path and a careless expression could take hours.
    static let maxSteps: UInt32 = 50_000
    /// Memory of one match, in KiB: the default of 20 MB for each worker is far more than paths and host names need.
    static let maxHeapKiB: UInt32 = 1024

    private let code: OpaquePointer
    private let block: OpaquePointer
    private let limits: OpaquePointer

    private init(code: OpaquePointer, block: OpaquePointer, limits: OpaquePointer) {
        unsafe self.code = unsafe code
        unsafe self.block = unsafe block
        unsafe self.limits = unsafe limits
    }

    deinit {
        unsafe pcre2_match_context_free_8(limits)
        unsafe pcre2_match_data_free_8(block)
        unsafe pcre2_code_free_8(code)
    }

    /// Compiles an expression over bytes: paths are compared encoded, so there is no other character set.
    package static func compile(_ text: String, isCaseSensitive: Bool) throws(Mistake) -> Pattern {
        // An expression must not turn UTF mode on by `(*UTF)`: invalid UTF-8 of a client would then make every match fail.
        let options = PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C | (isCaseSensitive ? 0 : PCRE2_CASELESS)
        var error: Int32 = 0
        var offset = 0
        let bytes = Array(text.utf8)
        guard let code = unsafe pcre2_compile_8(bytes, bytes.count, options, &error, &offset, nil) else {
            throw Mistake(message: explain(error), offset: offset)
        }
        // Without executable memory there is no just-in-time code, and the interpreter does the same work.
        _ = unsafe pcre2_jit_compile_8(code, PCRE2_JIT_COMPLETE)
        guard let block = unsafe pcre2_match_data_create_from_pattern_8(code, nil),
            let limits = unsafe pcre2_match_context_create_8(nil)
        else { fatalError("out of memory") }
        unsafe pcre2_set_match_limit_8(limits, maxSteps)
        unsafe pcre2_set_heap_limit_8(limits, maxHeapKiB)
        return unsafe Pattern(code: code, block: block, limits: limits)
    }

    /// Looks for the expression anywhere in `text`. `undecided`: a limit was reached, and the text must be refused.
    package mutating func evaluate(_ text: Span<UInt8>) -> Outcome {
        let result = unsafe text.withUnsafeBufferPointer {
            unsafe pcre2_match_8(code, $0.baseAddress, $0.count, 0, 0, block, limits)
        }
        if result >= 0 { return .matches }
        return result == PCRE2_ERROR_NOMATCH ? .differs : .undecided
    }

    /// The number of the one group of that name.
    package func group(_ name: String) -> Int? {
        let number = unsafe pcre2_substring_number_from_name_8(code, Array(name.utf8) + [0])
        return number > 0 ? Int(number) : nil
    }

    /// What the group took of the text that matched last; empty when it took no part.
    package func range(ofGroup group: Int) -> Range<Int> {
        guard group < Int(unsafe pcre2_get_ovector_count_8(block)), let ends = unsafe pcre2_get_ovector_pointer_8(block)
        else {
            return 0..<0
        }
        let (start, end) = unsafe (ends[2 * group], ends[2 * group + 1])
        // A group that took no part has PCRE2_UNSET, which is -1; `\K` may let one end before it starts.
        return start >= 0 && start <= end ? start..<end : 0..<0
    }

    private static func explain(_ error: Int32) -> String {
        var text = [UInt8](repeating: 0, count: 256)
        let count = unsafe pcre2_get_error_message_8(error, &text, text.count)
        return String(decoding: text.prefix(max(0, Int(count))), as: UTF8.self)
    }
}
