# lockstep_library(NAME [SOURCES ...] [DEPENDS libs...] [PRIVATE_DEPENDS libs...] [HEADERS files...])
#
# A static library made of every .c file in the current folder (or of SOURCES). Headers are included by their path from
# the root ("base/err.h"), but the include path of a target holds only the folders of the libraries it DEPENDS on: each
# library publishes a folder of its own in the build tree that contains nothing but a link to its sources. An include
# that points the wrong way therefore does not compile.
#   HEADERS  publish only these files (for a folder that is a boundary, such as motion/engine.h)

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

add_library(lockstep_flags INTERFACE)
target_compile_options(lockstep_flags INTERFACE
    -Wall -Wextra -Wconversion -Wshadow -Wdouble-promotion -Wstrict-prototypes -Wmissing-prototypes -Werror
    -Wno-maybe-uninitialized # guesses wrongly about results that are set unless an error is returned
    -ffp-contract=off -fno-strict-aliasing -fstack-protector-strong -g)
# At -O3 gcc cannot see that an out-parameter is set whenever a function returns OK; the sanitizer builds can.
target_compile_options(lockstep_flags INTERFACE $<$<CONFIG:Release>:-Wno-maybe-uninitialized>)
target_compile_definitions(lockstep_flags INTERFACE _GNU_SOURCE)
if(LOCKSTEP_SANITIZE)
    target_compile_options(lockstep_flags INTERFACE -fsanitize=${LOCKSTEP_SANITIZE} -fno-omit-frame-pointer -O1)
    target_link_options(lockstep_flags INTERFACE -fsanitize=${LOCKSTEP_SANITIZE})
    if(LOCKSTEP_SANITIZE MATCHES "undefined")
        target_compile_options(lockstep_flags INTERFACE -fno-sanitize-recover=undefined)
    endif()
endif()

set_property(GLOBAL PROPERTY LOCKSTEP_LIBRARIES "")

function(lockstep_library name)
    cmake_parse_arguments(L "" "" "SOURCES;DEPENDS;PRIVATE_DEPENDS;HEADERS" ${ARGN})
    file(RELATIVE_PATH rel ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
    if(NOT L_SOURCES)
        file(GLOB L_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
    endif()
    set(view ${CMAKE_BINARY_DIR}/include/${name})
    if(L_HEADERS)
        file(MAKE_DIRECTORY ${view}/${rel})
        foreach(header IN LISTS L_HEADERS)
            file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR}/${header} ${view}/${rel}/${header} SYMBOLIC)
        endforeach()
    else()
        get_filename_component(parent ${view}/${rel} DIRECTORY)
        file(MAKE_DIRECTORY ${parent})
        file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${view}/${rel} SYMBOLIC)
    endif()
    add_library(${name} STATIC ${L_SOURCES})
    target_include_directories(${name} PUBLIC ${view})
    target_link_libraries(${name} PUBLIC lockstep_flags ${L_DEPENDS} PRIVATE ${L_PRIVATE_DEPENDS})
    set_target_properties(${name} PROPERTIES LINKER_LANGUAGE C)
    set_property(GLOBAL APPEND PROPERTY LOCKSTEP_LIBRARIES ${name})
endfunction()
