-- Suggestions by Neovim's own inline completion (0.12). What it has no function for is done by inserting a part.

local M = {}

local inline = vim.lsp.inline_completion

function M.enable()
  inline.enable()
end

-- The text and the place of what is shown, as Neovim's extmark tells.
local function shown()
  local namespace = vim.api.nvim_get_namespaces()['nvim.lsp.inline_completion']
  if not namespace then
    return nil
  end
  local marks = vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true })
  return marks[1]
end

function M.is_shown()
  return shown() ~= nil
end

function M.accept()
  inline.get()
end

local function accept_part(pattern)
  inline.get({
    on_accept = function(item)
      local text = type(item.insert_text) == 'string' and item.insert_text or item.insert_text.value
      local part = text:match(pattern) or text
      require('setfill.insert').at(item.range, part)
    end,
  })
end

function M.accept_line()
  accept_part('^\n?[^\n]+')
end

function M.accept_word()
  accept_part('^%s*[%w_]+')
end

function M.next()
  inline.select({ count = 1 })
end

function M.previous()
  inline.select({ count = -1 })
end

function M.dismiss()
  inline.enable(false, { bufnr = 0 })
  inline.enable(true, { bufnr = 0 })
end

function M.ask() end -- Neovim asks by itself

return M
