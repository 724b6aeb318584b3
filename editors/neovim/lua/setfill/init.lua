-- Setfill for Neovim 0.11 and later: starts the language server and maps keys.
--
-- Neovim 0.12 shows inline completions itself; here it is only told to. In 0.11 setfill.ghost does it.

local M = {}

local defaults = {
  settings = {}, -- sent to the server, see docs/settings.md
  keymaps = {
    accept = '<Tab>', -- what the key does otherwise stays when nothing is suggested
    accept_line = '<M-l>',
    accept_word = '<M-w>',
    next = '<M-]>',
    previous = '<M-[>',
    dismiss = '<M-e>',
    ask = '<M-\\>',
  },
}

-- The modules that show suggestions, under the same names of functions.
local function display()
  return vim.lsp.inline_completion and require('setfill.builtin') or require('setfill.ghost')
end

local function map(key, action)
  if not key then
    return
  end
  vim.keymap.set('i', key, function()
    if action ~= 'ask' and not display().is_shown() then
      return key
    end
    return ('<Cmd>lua require("setfill").%s()<CR>'):format(action)
  end, { expr = true, desc = 'Setfill: ' .. action:gsub('_', ' ') })
end

--- Start Setfill for all files. `options` are like the defaults above; a keymap of `false` is not mapped.
function M.setup(options)
  local chosen = vim.tbl_deep_extend('force', defaults, options or {})
  local config = { init_options = chosen.settings }
  if chosen.cmd then
    config.cmd = chosen.cmd
  end
  vim.lsp.config('setfill', config)
  vim.lsp.enable('setfill')
  display().enable()
  for action, key in pairs(chosen.keymaps) do
    map(key, action)
  end
end

for _, action in ipairs({ 'accept', 'accept_line', 'accept_word', 'next', 'previous', 'dismiss', 'ask' }) do
  M[action] = function()
    display()[action]()
  end
end

return M
