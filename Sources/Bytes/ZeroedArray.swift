// A large array of numbers that begin as zero. Owns its allocation and frees it in deinit; the pages become memory only when
// they are first written, so room for many costs nothing until there are many.
import Glibc

@frozen @safe public struct ZeroedArray<Element: FixedWidthInteger & BitwiseCopyable>: ~Copyable {
    @usableFromInline let base: UnsafeMutablePointer<Element>
    public let count: Int

    public init(count: Int) {
        // calloc gives large blocks as untouched pages of the kernel, which are zero already.
        guard let memory = unsafe calloc(count, MemoryLayout<Element>.stride) else { fatalError("out of memory") }
        unsafe base = unsafe memory.bindMemory(to: Element.self, capacity: count)
        self.count = count
    }
    deinit { unsafe free(base) }

    @inlinable public subscript(i: Int) -> Element {
        @inline(__always) _read { precondition(i >= 0 && i < count); yield unsafe base[i] }
        @inline(__always) _modify { precondition(i >= 0 && i < count); yield unsafe &base[i] }
    }
}
