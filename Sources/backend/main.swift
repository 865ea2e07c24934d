import SwiftConfiguration
print("backend")
