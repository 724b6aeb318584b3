-- Setfill for Neovim 0.11 and later: starts the language server, shows what it suggests (setfill.ghost) and maps keys.

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

local ghost = require('setfill.ghost')
local earlier = {} -- mappings that were there before ours, by their keys: Neovim's own <Tab> jumps in snippets

local function remember(key)
  local mapping = vim.fn.maparg(key, 'i', false, true)
  if not vim.startswith(mapping.desc or '', 'Setfill: ') then -- setup() may be called again
    earlier[key] = mapping
  end
end

-- What `key` does when nothing is suggested.
local function do_otherwise(key)
  local mapping, keys = earlier[key], key
  if mapping.callback and mapping.expr ~= 1 then
    return mapping.callback()
  elseif mapping.callback then
    keys = mapping.callback() or ''
  elseif mapping.rhs then
    keys = mapping.expr == 1 and vim.api.nvim_eval(mapping.rhs) or mapping.rhs
  elseif key:match('^<[MmAaTt]%-') then
    return -- Neovim has no use for these; passed on, the letter would be inserted
  end
  local flags = vim.startswith(keys, '<Plug>') and 'mi' or 'ni'
  vim.api.nvim_feedkeys(vim.api.nvim_replace_termcodes(keys, true, true, true), flags, false)
end

-- Not an expression: Neovim evaluates those of keys that it has read ahead, before the text typed just before is there.
local function map(key, action)
  if not key then
    return
  end
  remember(key)
  vim.keymap.set('i', key, function()
    if action == 'ask' or ghost.is_shown() then
      ghost[action]()
    else
      do_otherwise(key)
    end
  end, { desc = 'Setfill: ' .. action:gsub('_', ' ') })
end

--- Start Setfill for all files. `options` are like the defaults above; a keymap of `false` is not mapped.
function M.setup(options)
  local chosen = vim.tbl_deep_extend('force', defaults, options or {})
  local config = { init_options = chosen.settings }
  if chosen.cmd then
    config.cmd = chosen.cmd
  end
  function config.on_init(client)
    client.server_capabilities.inlineCompletionProvider = nil -- else Neovim 0.12, if told to, shows the same again
  end
  vim.lsp.config('setfill', config)
  vim.lsp.enable('setfill')
  ghost.enable()
  for action, key in pairs(chosen.keymaps) do
    map(key, action)
  end
end

for _, action in ipairs({ 'accept', 'accept_line', 'accept_word', 'next', 'previous', 'dismiss', 'ask' }) do
  M[action] = ghost[action]
end

return M
