"Builds hardkd from what settings.ini says; the notebooks travel along as the package hardkd.nbs."
from configparser import ConfigParser
from pathlib import Path
from setuptools import setup

config = ConfigParser(delimiters=['='], interpolation=None)
config.read(Path(__file__).parent/'settings.ini', encoding='utf-8')
cfg = config['DEFAULT']
readme = Path(__file__).parent/'README.md'
extra = '_requirements'
rooms = ['hardkd', *(f'hardkd.{p.parent.name}' for p in sorted(Path(__file__).parent.glob('hardkd/*/__init__.py')))]

setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    description=cfg['description'],
    long_description=readme.read_text(encoding='utf-8') if readme.exists() else cfg['description'],
    long_description_content_type='text/markdown',
    keywords=cfg['keywords'].split(),
    license=cfg['license'],
    author=cfg['author'],
    url=cfg['git_url'],
    python_requires=f">={cfg['min_python']}",
    install_requires=cfg['requirements'].split(),
    extras_require={key.removesuffix(extra): cfg[key].split() for key in cfg if key.endswith(extra)},
    entry_points={'console_scripts': cfg['console_scripts'].split()},
    packages=[*rooms, 'hardkd.nbs'],
    package_dir={'hardkd': 'hardkd', 'hardkd.nbs': 'nbs'},
    package_data={
        'hardkd': ['py.typed', 'assets/*.*', 'assets/recorded/*', 'records/*', 'views/*.js', 'views/*.css', 'views/*.html', 'views/kit/*', 'views/numbers/*'],
        'hardkd.nbs': ['*.ipynb', '*/*.ipynb', 'images/*.*', 'images/views/*'],
    },
    include_package_data=False,
    zip_safe=False,
)
