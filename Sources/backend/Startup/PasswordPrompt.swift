// Asks for a new password: twice and unseen at a terminal, once on a pipe.
import Dispatch
import Foundation

enum PasswordPrompt {
    /// The password in the form that is hashed.
    static func newPassword() throws(StartupFailure) -> [UInt8] {
        guard isatty(STDIN_FILENO) == 1 else { return try checked(readLine()) }
        let password = try checked(hiddenLine("New password: "))
        guard try checked(hiddenLine("The same again: ")) == password else {
            throw StartupFailure("the two passwords differ; nothing was changed")
        }
        return password
    }

    private static func checked(_ line: String?) throws(StartupFailure) -> [UInt8] {
        guard let line else { throw StartupFailure("there is no password; nothing was changed") }
        guard Credentials.isGoodPassword(line) else {
            throw StartupFailure(
                "a password has \(Credentials.passwordLeastCharacters) to \(Credentials.passwordLimitCharacters) "
                    + "characters; nothing was changed")
        }
        return Credentials.normalized(line)
    }

    /// A line that the terminal does not show while it is typed.
    private static func hiddenLine(_ prompt: String) -> String? {
        var settings = termios()
        // Unsafe: tcgetattr and tcsetattr use the structure for the length of the call.
        guard unsafe tcgetattr(STDIN_FILENO, &settings) == 0 else { return readLine() }
        let shown = settings
        settings.c_lflag &= ~tcflag_t(ECHO)
        let interruption = restoringWhenInterrupted(shown)
        unsafe tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings)
        // Not before the terminal hides what is typed.
        FileHandle.standardError.write(Data(prompt.utf8))
        defer {
            restore(shown)
            interruption.cancel()
        }
        return readLine()
    }

    private static func restore(_ settings: termios) {
        var settings = settings
        unsafe tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings)
        FileHandle.standardError.write(Data("\n".utf8))
    }

    /// Ctrl-C must not leave a terminal behind that shows nothing.
    private static func restoringWhenInterrupted(_ settings: termios) -> any DispatchSourceSignal {
        signal(SIGINT, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
        source.setEventHandler {
            restore(settings)
            exit(130)
        }
        // Until the source is in place an interruption would be lost.
        let isInPlace = DispatchSemaphore(value: 0)
        source.setRegistrationHandler { isInPlace.signal() }
        source.resume()
        isInPlace.wait()
        return source
    }
}
