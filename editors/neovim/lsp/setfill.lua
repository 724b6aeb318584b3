-- How Neovim starts Setfill. `require('setfill').setup()` enables it; vim.lsp.config('setfill', ...) changes it.
return {
  cmd = { 'setfill', 'serve' },
  root_markers = { '.git' },
  capabilities = { textDocument = { inlineCompletion = { dynamicRegistration = false } } },
}
