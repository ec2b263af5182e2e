"The lessons that show a view or a chart: these are run in JupyterLab, with each of them looked at; the others by nbdev."

LESSONS = {'03_losses': ['TemperatureDial'], '05_shift': ['ShiftMap', 'PushTheDigit'],
           '07_hard': ['HardScrub', 'LossLedger', 'DisagreementMap', 'AugmentorCloud'],
           '08_mix': ['HardScrub'], '10_vae': ['HardScrub', 'VaeScrub'], '11_icd': ['IcdMatrix', 'EmbeddingDuel'],
           '12_robust': [], '13_rivals': [], '14_xray': ['TeacherXray']}     # 12 and 13 show charts only

# a minute and more each: they run with the long sweeps, `-m slow`
LONG = '08_mix', '09_draws', '10_vae', '11_icd', '13_rivals', '14_xray', '15_scale'
