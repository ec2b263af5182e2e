"What tests share: a real JupyterLab, saved pages, views of all kinds, small sets and runs. No test imports another test."
