"The lessons that show a view: these are run in JupyterLab, with each view looked at; the others by nbdev."

LESSONS = {'03_losses': ['TemperatureDial'], '05_shift': ['ShiftMap', 'PushTheDigit'],
           '07_hard': ['HardScrub', 'LossLedger', 'DisagreementMap', 'AugmentorCloud'],
           '08_mix': ['HardScrub'], '10_vae': ['HardScrub', 'VaeScrub'], '11_icd': ['IcdMatrix', 'EmbeddingDuel']}
