-- Every request carries the first token of the file: after the first, a verification cache should know it.
local requests = require "requests"

function init(args) request = requests.cycle(requests.from(args[1], 0, 1, 1)) end

done = requests.report("ok")
