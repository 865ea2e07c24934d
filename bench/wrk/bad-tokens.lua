-- Requests cycle through tokens that must be refused: what does an attack with forged tokens cost?
local requests = require "requests"

function init(args) request = requests.cycle(requests.from(args[1], 0, 1, math.huge)) end

done = requests.report("refused")
